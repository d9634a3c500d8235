"""What a lab has in the engine, found by label: containers, volumes, one network, and the image that labs share."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.setup.base_image import IMAGE
from scripts.setup.engine import docker
from scripts.setup.shell import SetupError

if TYPE_CHECKING:
    from scripts.lab.plan import Host
    from scripts.setup.shell import Result, Shell

LABEL = "magma-remote.lab"  # its value is the lab's name
PLAN_LABEL, FOLDER_LABEL, HOST_LABEL = f"{LABEL}.plan", f"{LABEL}.folder", f"{LABEL}.host"
CONTEXT = Path(__file__).parent / "host"
SHARED_MEMORY = "1g"  # running trials write to it
IMAGE_SECONDS = 1200

# Modules and the clock are the machine's; SYS_RESOURCE is what some engines cannot give.
_RIGHTS = ("--cap-add=ALL", *(f"--cap-drop={name}" for name in ("SYS_RESOURCE", "SYS_MODULE", "SYS_TIME")))
# cgroupns: with one of its own, a host's control groups lie below its container's: they go with it, and its own
# containers get no CPU that it has not. Tried with control groups of version 1; 2 needs the same.
_ISOLATION = (
    "--cgroupns=private",
    *(f"--security-opt={name}=unconfined" for name in ("seccomp", "apparmor", "systempaths")),
    "--tmpfs=/run",
    "--tmpfs=/run/lock",
    "--tmpfs=/tmp:exec",
    f"--shm-size={SHARED_MEMORY}",
    "--env=container=docker",
)


@dataclass(frozen=True, kw_only=True)
class Found:
    """A container of a lab. `state` is the engine's word: created, running, paused, exited and so on."""

    name: str
    host: str
    state: str
    plan: str
    folder: str


@dataclass(frozen=True, kw_only=True)
class Objects:
    """The engine's side of the lab of this name."""

    shell: Shell
    name: str

    def of(self, host: str) -> str:
        """Name of a host's container; its volume has it too."""
        return f"{self.network}-{host}"

    @property
    def network(self) -> str:
        """Name of the network."""
        return f"magma-{self.name}"

    def call(self, *arguments: str, what: str, timeout: float = 60) -> Result:
        """Run docker; SetupError says what failed and the engine's words."""
        result = docker(self.shell, *arguments, timeout=timeout)
        if not result.ok:
            raise SetupError(f"{what} failed:\n{result.tail()}")
        return result

    def found(self) -> list[Found]:
        """Its containers, the dispatcher first."""
        ids = self._ids("ps", "--all")
        if not ids:
            return []
        result = self.call("inspect", "--format", "{{json .}}", *ids, what="docker inspect")
        return sorted(map(_found, result.output.splitlines()), key=lambda found: found.name)

    def networks(self) -> list[str]:
        """Ids of its networks: one or none."""
        return self._ids("network", "ls")

    def volumes(self) -> list[str]:
        """Names of its volumes."""
        return self._ids("volume", "ls")

    def build_image(self) -> str:
        """Name of the hosts' image, built where it is missing: its tag is the digest of what it is made from."""
        base = self.call("image", "inspect", "--format", "{{.Id}}", IMAGE, what="docker image inspect")
        digest = hashlib.sha256(base.output.encode())
        for path in sorted(CONTEXT.iterdir()):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
        image = f"magma-lab-host:{digest.hexdigest()[:16]}"
        if not docker(self.shell, "image", "inspect", "--format", "{{.Id}}", image).ok:
            self.shell.say("building the hosts' image, once, which takes a minute …")
            built = ("build", "--tag", image, str(CONTEXT))
            self.call(*built, what="docker build of the hosts' image", timeout=IMAGE_SECONDS)
        return image

    def create_network(self, subnet: str) -> None:
        """A network of its own."""
        labels = ("--label", f"{LABEL}={self.name}")
        self.call(
            "network", "create", *labels, "--subnet", subnet, self.network, what=f"docker network create {subnet}"
        )

    def create_host(self, host: Host, *, image: str, plan: str, folder: Path, resolver: Path | None) -> None:
        """A host's container and its volume, not started yet."""
        name, label = self.of(host.name), f"{LABEL}={self.name}"
        self.call("volume", "create", "--label", label, name, what="docker volume create")
        labels = (label, f"{HOST_LABEL}={host.name}", f"{PLAN_LABEL}={plan}", f"{FOLDER_LABEL}={folder}")
        options = [
            *("--name", name, "--hostname", host.name, "--network", self.network, "--ip", host.address),
            *(part for text in labels for part in ("--label", text)),
            *("--volume", f"{name}:/var/lib/docker"),  # overlay2 cannot lie on the container's own overlay2
            *(("--volume", f"{resolver}:/etc/resolv.conf:ro") if resolver else ()),
            *(("--cpuset-cpus", ",".join(map(str, host.cpus))) if host.cpus else ()),
        ]
        self.call("create", *_RIGHTS, *_ISOLATION, *options, image, what=f"docker create {name}")

    def run(self, host: str, *command: str, timeout: float = 60) -> Result:
        """Run a command on a host, as root and past its network."""
        return docker(self.shell, "exec", self.of(host), *command, timeout=timeout)

    def remove(self) -> list[str]:
        """Remove all that bears this lab's label. Returns what was removed, in words."""
        done = []
        for found in self.found():
            self.call("rm", "--force", found.name, what=f"docker rm {found.name}", timeout=120)
            done.append(found.host)
        for volume in self.volumes():
            self.call("volume", "rm", volume, what=f"docker volume rm {volume}")
        for network in self.networks():
            self.call("network", "rm", network, what=f"docker network rm {self.network}")
            done.append("its network")
        return done

    def _ids(self, *listing: str) -> list[str]:
        arguments = (*listing, "--quiet", "--filter", f"label={LABEL}={self.name}")
        return self.call(*arguments, what=f"docker {' '.join(listing)}").output.split()


def _found(line: str) -> Found:
    facts: dict[str, Any] = json.loads(line)
    labels = facts["Config"]["Labels"]
    return Found(
        name=facts["Name"].lstrip("/"),
        host=labels[HOST_LABEL],
        state=facts["State"]["Status"],
        plan=labels[PLAN_LABEL],
        folder=labels[FOLDER_LABEL],
    )
