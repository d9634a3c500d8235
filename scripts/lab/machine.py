"""What the lab has to know of this machine: engine, CPUs, networks in use, name servers, certificates."""

from __future__ import annotations

import json
import os
import ssl
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.setup import base_image, engine
from scripts.setup.shell import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.setup.shell import Shell

RESOLVERS = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
OLDEST_ENGINE = (20, 10)  # the first that gives a container a name space of control groups


def check(shell: Shell) -> None:
    """SetupError where a lab cannot run, with what to do."""
    host = os.environ.get("DOCKER_HOST") or engine.DEFAULT_HOST
    if not host.startswith("unix://"):
        raise SetupError(f"DOCKER_HOST is {host}: the lab needs the Docker Engine of this machine. Unset DOCKER_HOST")
    state, told = engine.probe(shell)
    if state is not engine.State.ANSWERS:
        raise SetupError(f"Docker Engine does not answer ({told}): call make setup, which says more")
    if tuple(int(part) for part in told.split("-")[0].split(".")[:2]) < OLDEST_ENGINE:
        raise SetupError(f"Docker Engine {told} is too old: the lab needs 20.10 or newer")
    options = engine.docker(shell, "info", "--format", "{{json .SecurityOptions}}").output
    if "name=rootless" in options or "name=userns" in options:
        raise SetupError("this Docker Engine maps users (rootless or userns-remap): systemd cannot run in it as root")
    if not engine.docker(shell, "image", "inspect", "--format", "{{.Id}}", base_image.IMAGE).ok:
        raise SetupError(f"no image {base_image.IMAGE}: call make setup")
    if not shell.which("ssh-keygen"):
        raise SetupError("no ssh-keygen: call make setup")


def cpus() -> list[int]:
    """Numbers of the CPUs that we may use, in order."""
    return sorted(os.sched_getaffinity(0))


def networks(shell: Shell) -> Iterator[IPv4Network]:
    """What this machine has routes to, and what its Docker networks use."""
    routes = shell.run(["ip", "-4", "-json", "route", "show", "table", "all"], timeout=20)
    for route in json.loads(routes.output) if routes.ok else ():
        yield from _parse(route["dst"])
    names = engine.docker(shell, "network", "ls", "--quiet").output.split()
    form = "{{range .IPAM.Config}}{{.Subnet}} {{end}}"
    for text in engine.docker(shell, "network", "inspect", "--format", form, *names).output.split():
        yield from _parse(text)


def _parse(text: str) -> Iterator[IPv4Network]:
    try:
        network = IPv4Network(text)
    except ValueError:  # `default`, or IPv6
        return
    if network.prefixlen:
        yield network


def resolver() -> str | None:
    """A resolv.conf whose name servers can be asked from a host and from its own containers, if there is one.

    The engine's own answers at 127.0.0.11, and a container in a container would ask itself there.
    """
    for path in RESOLVERS:
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        servers = [line for line in lines if line.startswith("nameserver ")]
        usable = [line for line in servers if not ip_address(line.split()[1].partition("%")[0]).is_loopback]
        if usable:
            return "\n".join([*(line for line in lines if line.startswith("search ")), *usable]) + "\n"
    return None


def certificates() -> Path | None:
    """The certificate authorities that this machine trusts, its owner's too, in one file."""
    paths = ssl.get_default_verify_paths()
    found = (paths.cafile, paths.openssl_cafile, "/etc/ssl/certs/ca-certificates.crt")
    return next((Path(path) for path in found if path and Path(path).is_file()), None)
