"""What a host of the lab looks like from inside: files, packages, accounts, services; and what it reaches."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.support.lab.lab import Lab

FOLDERS = ("/etc", "/opt", "/usr", "/var", "/home", "/root")
OURS = ("/etc", "/opt", "/usr/local", "/var/lib", "/home", "/root")  # what no package owns can only be here
# What a running system writes by itself, whoever looks.
NOISE = (
    "/var/log/*",
    "/var/lib/systemd/*",
    "/var/lib/containerd/*",
    "/var/lib/docker/*",
    "/var/lib/magma-remote/queue/*",  # workers speak up every few seconds, and beanstalkd writes it down
    "/home/ops",  # Ansible's own folder for what it copies there
    "/home/ops/.ansible*",
    "*/__pycache__*",
)
# What installing and removing packages leaves behind, which is Debian's and not ours.
AFTERMATH = (
    "/etc/*-",
    "/etc/ld.so.cache",
    "/etc/subuid",
    "/etc/subgid",
    "/var/cache/*",
    "/var/lib/apt/*",
    "/var/lib/dpkg/*",
    "/var/lib/pam/*",
    "/var/lib/ucf/*",
    # what Docker Engine makes when it starts, and its package does not know of
    "/etc/cni*",
    "/etc/docker*",
    "/var/lib/containerd",
    "/var/lib/docker",
    "/root/.ansible*",
    # compared account by account
    "/etc/group",
    "/etc/gshadow",
    "/etc/passwd",
    "/etc/shadow",
)
# Accounts of packages: Debian leaves them when a package is purged, so that no later one is given their number.
DEBIANS = ("beanstalkd", "docker", "docker-registry")

_FILES = r"""
import fnmatch, hashlib, json, os, stat, sys
folders, noise, by_content = json.loads(sys.argv[1])
found = {}
def note(path):
    if any(fnmatch.fnmatch(path, pattern) for pattern in noise):
        return False
    facts = os.lstat(path)
    entry = [stat.filemode(facts.st_mode), facts.st_uid, facts.st_gid]
    if stat.S_ISLNK(facts.st_mode):
        entry.append(os.readlink(path))
    elif stat.S_ISREG(facts.st_mode) and by_content:
        entry.append(hashlib.sha256(open(path, "rb").read()).hexdigest())
    if not by_content:
        entry.append(facts.st_mtime_ns)
    found[path] = entry
    return True
for top in folders:
    device = os.lstat(top).st_dev
    for folder, inner, files in os.walk(top):
        inner[:] = [name for name in inner if note(os.path.join(folder, name))
                    and os.lstat(os.path.join(folder, name)).st_dev == device]
        for name in files:
            note(os.path.join(folder, name))
print(json.dumps(found))
"""

_CONNECTS = r"""
import json, socket, sys
def reached(address, port):
    try:
        socket.create_connection((address, port), timeout=3).close()
        return True
    except OSError:
        return False
print(json.dumps([[address, port] for address, port in json.loads(sys.argv[1]) if reached(address, port)]))
"""


@dataclass(frozen=True, kw_only=True)
class Look:
    """A host at a moment. Files are told by owner, mode and content, or by the time of their last change."""

    files: dict[str, list[Any]]
    packages: dict[str, str]
    manual: list[str]
    accounts: list[str]
    groups: list[str]
    unit_files: list[str]
    services: list[str]

    def differences(self, other: Look) -> dict[str, Any]:
        """What is not the same, both sides of it; empty where all is."""
        mine, others = asdict(self), asdict(other)
        found = {key: _difference(mine[key], others[key]) for key in mine}
        return {key: difference for key, difference in found.items() if difference}


def look(lab: Lab, host: str, *, by_content: bool = False, without: Sequence[str] = ()) -> Look:
    """Look at a host, `without` the files that these patterns match."""
    arguments = json.dumps([OURS if by_content else FOLDERS, [*NOISE, *without], by_content])
    packages = lab.run(host, "dpkg-query", "--show", "--showformat", "${Package} ${Version} ${db:Status-Abbrev}\n").text
    services = "systemctl list-units --type=service --state=running --no-legend --plain | cut -d' ' -f1"
    return Look(
        files=json.loads(lab.run(host, "python3", "-c", _FILES, arguments).text),
        packages=dict(line.split(maxsplit=1) for line in packages.splitlines()),
        manual=sorted(lab.run(host, "apt-mark", "showmanual").text.split()),
        accounts=_accounts(lab, host, "passwd"),
        groups=_accounts(lab, host, "group"),
        unit_files=sorted(lab.run(host, "systemctl", "list-unit-files", "--no-legend", "--plain").text.splitlines()),
        services=sorted(lab.shell(host, services).text.split()),
    )


def _accounts(lab: Lab, host: str, database: str) -> list[str]:
    lines = lab.run(host, "getent", database).text.splitlines()
    return sorted(line for line in lines if line.partition(":")[0] not in DEBIANS)


def starts(lab: Lab, host: str, services: Iterable[str]) -> str:
    """When each of these services was last started: the same text twice, and none was between."""
    return lab.run(host, "systemctl", "show", "--property=Id,MainPID,ExecMainStartTimestamp", *services).text


def listening(lab: Lab, host: str) -> set[int]:
    """TCP ports that something listens on, on whatever address."""
    lines = lab.run(host, "ss", "--no-header", "--tcp", "--listening", "--numeric").text.splitlines()
    return {int(line.split()[3].rpartition(":")[2]) for line in lines}


def connects(lab: Lab, host: str, places: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
    """Which of these addresses and ports a host can connect to."""
    found = json.loads(lab.run(host, "python3", "-c", _CONNECTS, json.dumps(list(places)), timeout=300).text)
    return {(address, port) for address, port in found}


def _difference(mine: Any, others: Any) -> Any:
    if isinstance(mine, dict):
        keys = [key for key in mine | others if mine.get(key) != others.get(key)]
        return {key: (mine.get(key), others.get(key)) for key in sorted(keys)}
    return sorted(set(mine) ^ set(others))
