"""What campaigns' images are built from: there already, from our cache, pulled, or made with debootstrap."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.setup import apt
from scripts.setup.engine import docker, docker_argv
from scripts.setup.shell import SetupError

if TYPE_CHECKING:
    from scripts.setup.shell import Shell

SUITE = "bookworm"
IMAGE = f"debian:{SUITE}"
LABEL = "magma-remote.base=debootstrap"  # docker image ls --filter label=… tells ours from a pulled one
PULL_SILENCE, PULL_LIMIT = 45, 1800  # seconds without a sign of life, and in all

# What belongs to the running system or can be fetched again is left out; the engine mounts its own /dev.
_LEFT_OUT = ("./dev/*", "./proc/*", "./sys/*", "./var/cache/apt/*.bin", "./var/cache/apt/archives/*.deb")
_SOURCES = "$(CODENAME) $(LABEL) $(COMPONENT) $(REPO_URI)"


def cache_folder() -> Path:
    """Where the root file system is kept, for all checkouts of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "magma-remote"


def ensure(shell: Shell, cache: Path) -> str:
    """Make `debian:bookworm` present. Where it is, nothing is touched."""
    if docker(shell, "image", "inspect", "--format", "{{.Id}}", IMAGE).ok:
        return f"{IMAGE} is there"
    tarball = cache / f"{SUITE}-rootfs.tar"
    if not tarball.is_file():
        if pull(shell):
            return f"{IMAGE} is pulled"
        debootstrap(shell, tarball)
    load(shell, tarball)
    return f"{IMAGE} is made from {tarball}"


def pull(shell: Shell) -> bool:
    """Whether a registry gave us the image. A slow one may take its time, a silent one may not."""
    shell.say(f"pulling {IMAGE} …")
    result = shell.watch(docker_argv("pull", IMAGE), idle=PULL_SILENCE, timeout=PULL_LIMIT)
    if not result.ok:
        shell.say(f"no registry gave it: {(result.output.strip().splitlines() or ['silence'])[-1].strip()}")
    return result.ok


def mirror(listing: str) -> str | None:
    """Address of the suite's mirror, if it is in these `apt-get indextargets` lines (format `_SOURCES`)."""
    for line in listing.splitlines():
        codename, label, component, address = [*line.split(maxsplit=3), "", "", "", ""][:4]
        if (codename, label, component) == (SUITE, "Debian", "main") and address.startswith("http"):
            return address
    return None


def find_mirror(shell: Shell) -> str | None:
    """The mirror that this machine's apt uses; None leaves the choice to debootstrap."""
    ask = ["apt-get", "indextargets", "--format", _SOURCES, "Created-By: Packages"]
    found = mirror(shell.run(ask, timeout=60).output)
    if not found and shell.which("apt-get") and apt.update(shell).ok:  # apt names sources only once it has lists
        found = mirror(shell.run(ask, timeout=60).output)
    return found


def debootstrap(shell: Shell, tarball: Path) -> None:
    """Make a minimal Debian root file system in `tarball`, from the mirror that this machine's apt uses."""
    if not shell.which("debootstrap"):
        apt.install(shell, "debootstrap", "debian-archive-keyring")
    address = find_mirror(shell)
    tarball.parent.mkdir(parents=True, exist_ok=True)
    shell.say("making it with debootstrap, which takes a minute …")
    with tempfile.TemporaryDirectory(dir=tarball.parent, prefix="making-") as scratch:
        root = Path(scratch) / "root"
        try:
            _bootstrap(shell, root, address)
            _pack(shell, root, tarball)
        finally:
            shell.as_root(["rm", "-rf", "--one-file-system", str(root)], timeout=120)


def _bootstrap(shell: Shell, root: Path, address: str | None) -> None:
    # ca-certificates: the image keeps this mirror as its apt source, which may be an https one
    argv = ["debootstrap", "--variant=minbase", "--include=ca-certificates", SUITE, str(root)]
    result = shell.as_root([*argv, *([address] if address else [])], timeout=1200)
    if not result.ok:
        raise SetupError(f"debootstrap failed, and no registry gave {IMAGE} either:\n{result.tail()}")


def _pack(shell: Shell, root: Path, tarball: Path) -> None:
    partial = root.with_name("rootfs.tar")
    left_out = [f"--exclude={pattern}" for pattern in _LEFT_OUT]
    result = shell.as_root(["tar", "-C", str(root), "-cf", str(partial), *left_out, "."], timeout=300)
    if not result.ok:
        raise SetupError(f"could not pack {root}:\n{result.tail()}")
    partial.replace(tarball)


def load(shell: Shell, tarball: Path) -> None:
    """Give the root file system to the engine under the image's name, labelled as made on this machine."""
    changes = ["--change", 'CMD ["bash"]', "--change", f"LABEL {LABEL}"]
    told = ["--message", "made by debootstrap on this machine"]
    result = docker(shell, "import", *changes, *told, str(tarball), IMAGE, timeout=300)
    if not result.ok:
        raise SetupError(f"docker import failed; if {tarball} is damaged, remove it:\n{result.tail()}")
