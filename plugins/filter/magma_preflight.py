"""What role preflight found out about a host, judged: problems, notes, and one line for people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Facts = Mapping[str, Any]  # __preflight_found of roles/preflight/vars/main.yml

OLDEST = {"Debian": 12, "Ubuntu": 22.04}
PYTHON = (3, 11)
ARCHITECTURES = ("x86_64", "aarch64")
# As magma_remote.model.names, which a plugin cannot import where only Ansible is installed; a test holds them together.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}", re.ASCII)
GIB = 2**30
SHM = "/dev/shm"  # noqa: S108 - where running trials write


def numbers(version: str) -> tuple[int, ...]:
    """`12.11` as (12, 11); what is no number counts as 0."""
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))


def space(lines: list[str]) -> dict[str, tuple[int, int]]:
    """Size and free bytes by mount point, of `df --output=target,size,avail`."""
    rows = (line.rsplit(maxsplit=2) for line in lines[1:])
    return {target: (int(size), int(free)) for target, size, free in rows}


def skew(clock: Mapping[str, float]) -> float:
    """Seconds that the host's clock is ahead at the least, or behind (negative); 0 where the line explains it."""
    ahead, behind = clock["host"] - clock["received"], clock["host"] - clock["sent"]
    return ahead if ahead > 0 else min(behind, 0)


def _system(host: Facts, _: Facts) -> Iterator[str]:
    oldest = OLDEST.get(host["distribution"])
    told = f"{host['distribution']} {host['version']}"
    if oldest is None or numbers(host["version"]) < numbers(str(oldest)):
        yield f"system: {told} is not supported; take Debian 12 or Ubuntu 22.04, or a newer one of these"
    if host["architecture"] not in ARCHITECTURES:
        yield f"architecture: {host['architecture']} is not one of {', '.join(ARCHITECTURES)}"
    elif host["dispatcher_architecture"] not in ("", host["architecture"]):
        there = host["dispatcher_architecture"]
        yield (
            f"architecture: it is {host['architecture']} and the dispatcher is {there}, whose images would not run "
            "here; take hosts of one architecture"
        )


def _python(host: Facts, _: Facts) -> Iterator[str]:
    found = host["python"]
    if not found or numbers(found)[:2] < PYTHON:
        yield (
            f"Python: {host['python_path']} {f'is {found}' if found else 'does not run'}, 3.11 or newer is needed. "
            "Debian 12 and Ubuntu 24.04 have it; on Ubuntu 22.04: apt-get install python3.11 python3.11-venv, and "
            "runtime_python: /usr/bin/python3.11 in the inventory"
        )


def _room(host: Facts, limits: Facts) -> Iterator[str]:
    for target, (_, free) in space(host["space"]).items():
        if target != SHM and free < limits["disk"] * GIB:
            yield (
                f"disk: {target} has {free / GIB:.1f} GiB free, less than {limits['disk']:g}. Results and images go "
                "there: free some, or set preflight_disk if less will do"
            )
    if host["memory_mb"] < limits["memory"] * 1024 * 0.95:  # firmware and kernel take some of what was bought
        yield f"memory: {host['memory_mb']} MiB, less than {limits['memory']:g} GiB (preflight_memory)"


def _clock(host: Facts, limits: Facts) -> Iterator[str]:
    off = skew(host["clock"])
    if abs(off) > limits["skew_refused"]:
        yield (
            f"clock: {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the machine that calls ansible-playbook. "
            "Stamps of trials would order what happened on two hosts wrongly: set it, and keep it right "
            "(apt-get install systemd-timesyncd)"
        )


def _account(host: Facts, _: Facts) -> Iterator[str]:
    """In lines of getent: the name belongs to the number and the number to the name, or both are free."""
    for kind, entries in (("uid", host["accounts"]), ("gid", host["groups"])):
        for name, _password, number, *_rest in (entry.split(":") for entry in entries):
            if (name == host["user"]) != (number == str(host["uid"])):
                yield (
                    f"account: {name} has {kind} {number}, while {host['user']} needs {host['uid']}, on all hosts the "
                    "same. Rename or renumber it, or choose another runtime_uid for all hosts"
                )


def _inventory(host: Facts, _: Facts) -> Iterator[str]:
    if NAME.fullmatch(host["name"]) is None:
        yield (
            f"name: {host['name']} names files and a worker; it must begin with a letter or digit, and have but "
            "letters, digits, _ . + - in it. Rename the host in the inventory; ansible_host keeps its address"
        )
    count = len(host["dispatchers"])
    if count != 1:
        told = f"names {count} ({', '.join(host['dispatchers'])})" if count else "names none"
        yield f"dispatcher: exactly one is needed, and the inventory's group {told}"


def _ways(host: Facts, _: Facts) -> Iterator[str]:
    for way in host["ways"]:
        if not way["open"]:
            yield (
                f"network: {way['from']} does not reach {way['to']} at {way['address']}, port {way['port']}, within "
                f"5 s. Open that port, or set magma_address of {way['to']} to the address that other hosts reach"
            )


_CHECKS: tuple[Callable[[Facts, Facts], Iterator[str]], ...] = (
    _inventory,
    _system,
    _python,
    _room,
    _clock,
    _account,
    _ways,
)


def problems(host: Facts, limits: Facts) -> list[str]:
    """All that keeps the host from running campaigns, each with what to do about it."""
    return [told for check in _CHECKS for told in check(host, limits)]


def notes(host: Facts, limits: Facts) -> list[str]:
    """What does not keep it from that, and may become a nuisance."""
    off, shm = skew(host["clock"]), space(host["space"]).get(SHM, (0, 0))[0]
    found = []
    if limits["skew_warned"] < abs(off) <= limits["skew_refused"]:
        found.append(f"its clock is {abs(off):.0f} s off: stamps of trials will be, too")
    if host["worker"] and shm < GIB:
        found.append(f"{SHM} has {shm / GIB:.1f} GiB, and running trials write there unless CACHE_ON_DISK is true")
    if host["cpus_allowed"] < host["cpus"]:
        found.append(
            f"{host['cpus_allowed']} of its {host['cpus']} CPUs may be used from here; services may see others"
        )
    return found


def summary(host: Facts) -> str:
    """The host in one line."""
    free = ", ".join(f"{free / GIB:.0f} GiB free in {target}" for target, (_, free) in space(host["space"]).items())
    return (
        f"{host['distribution']} {host['version']}, {host['architecture']}, Python {host['python']}, "
        f"{host['cpus']} CPUs, {host['memory_mb'] / 1024:.0f} GiB of memory, {free}"
    )


class FilterModule:
    """Ansible's way in."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Filters by name."""
        return {
            "magma_preflight_problems": problems,
            "magma_preflight_notes": notes,
            "magma_preflight_summary": summary,
        }
