"""What role preflight says of a host."""

from __future__ import annotations

import importlib.util
import string
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.model.names import is_plain_name
from tests.support.places import ROOT

if TYPE_CHECKING:
    from types import ModuleType

GIB = 2**30
LIMITS = {"disk": 20.0, "memory": 2.0, "skew_warned": 2.0, "skew_refused": 30.0}
NOON = 1_700_000_000.0


def load() -> ModuleType:
    """As Ansible does: by its path, for plugins are no package."""
    spec = importlib.util.spec_from_file_location("magma_preflight", ROOT / "plugins/filter/magma_preflight.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


plugin = load()


def host(**changes: Any) -> dict[str, Any]:
    return {
        "name": "worker1",
        "dispatchers": ["head"],
        "worker": True,
        "distribution": "Debian",
        "version": "12.11",
        "architecture": "x86_64",
        "dispatcher_architecture": "x86_64",
        "python_path": "/usr/bin/python3",
        "python": "3.11.2",
        "cpus": 8,
        "cpus_allowed": 8,
        "memory_mb": 15_900,
        "space": df(("/", 100), ("/dev/shm", 8)),
        "clock": clock(0),
        "user": "magma-remote",
        "uid": 642,
        "accounts": [],
        "groups": [],
        "ways": [],
    } | changes


def df(*rows: tuple[str, float]) -> list[str]:
    return ["Mounted on Size Avail", *(f"{target} {free * GIB:.0f} {free * GIB:.0f}" for target, free in rows)]


def clock(ahead: float, line: float = 0.25) -> dict[str, float]:
    """A host whose clock is `ahead`, over a line that takes `line` seconds each way."""
    return {"sent": NOON, "host": NOON + line + ahead, "received": NOON + 2 * line}


def way(*, is_open: bool) -> list[dict[str, Any]]:
    return [{"from": "head", "to": "worker1", "address": "192.0.2.7", "port": 22, "open": is_open}]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="debian"),
        pytest.param({"version": "13"}, id="newer-debian"),
        pytest.param({"distribution": "Ubuntu", "version": "22.04", "python": "3.11.0"}, id="ubuntu"),
        pytest.param({"distribution": "Ubuntu", "version": "24.10", "python": "3.12.3"}, id="newer-ubuntu"),
        pytest.param({"dispatcher_architecture": ""}, id="dispatcher-unknown"),
        pytest.param({"accounts": ["magma-remote:*:642:642::/:/bin/sh"], "groups": ["magma-remote:x:642:"]}, id="ours"),
        pytest.param({"memory_mb": 1_960}, id="memory-as-sold"),
        pytest.param({"clock": clock(0, line=60)}, id="slow-line"),
        pytest.param({"clock": clock(-29)}, id="clock-behind"),
        pytest.param({"ways": way(is_open=True)}, id="reached"),
    ],
)
def test_a_host_that_will_do(changes: dict[str, Any]) -> None:
    assert plugin.problems(host(**changes), LIMITS) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"version": "11.9"}, "system: Debian 11.9 is not supported", id="old-debian"),
        pytest.param({"distribution": "Ubuntu", "version": "20.04"}, "take Debian 12 or Ubuntu 22.04", id="old-ubuntu"),
        pytest.param({"distribution": "Fedora", "version": "43"}, "system: Fedora 43", id="fedora"),
        pytest.param({"architecture": "riscv64"}, "riscv64 is not one of x86_64, aarch64", id="architecture"),
        pytest.param({"dispatcher_architecture": "aarch64"}, "images would not run here", id="mixed"),
        pytest.param({"python": "3.10.12"}, "/usr/bin/python3 is 3.10.12, 3.11 or newer", id="old-python"),
        pytest.param({"python": ""}, "/usr/bin/python3 does not run", id="no-python"),
        pytest.param({"space": df(("/var", 19.5))}, "/var has 19.5 GiB free, less than 20", id="disk"),
        pytest.param({"memory_mb": 1_000}, "memory: 1000 MiB, less than 2 GiB", id="memory"),
        pytest.param({"clock": clock(40)}, "clock: 40 s ahead of", id="ahead"),
        pytest.param({"clock": clock(-3600)}, "clock: 3600 s behind", id="behind"),
        pytest.param({"accounts": ["bob:x:642:1::/:/bin/sh"]}, "bob has uid 642, while magma-remote needs", id="uid"),
        pytest.param({"accounts": ["magma-remote:x:999:9::/:/x"]}, "magma-remote has uid 999", id="other-uid"),
        pytest.param({"groups": ["staff:x:642:"]}, "staff has gid 642", id="gid"),
        pytest.param({"ways": way(is_open=False)}, "head does not reach worker1 at 192.0.2.7, port 22", id="closed"),
        pytest.param({"name": "lab/1"}, "name: lab/1", id="name"),
        pytest.param({"dispatchers": []}, "names none", id="no-dispatcher"),
        pytest.param({"dispatchers": ["a", "b"]}, "names 2 (a, b)", id="two-dispatchers"),
    ],
)
def test_a_host_that_will_not_do(changes: dict[str, Any], told: str) -> None:
    (problem,) = plugin.problems(host(**changes), LIMITS)
    assert told in problem


def test_all_problems_are_told_at_once() -> None:
    assert len(plugin.problems(host(version="10", python="", memory_mb=1, name="", dispatchers=[]), LIMITS)) == 5


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"clock": clock(5)}, "5 s off", id="clock"),
        pytest.param({"space": df(("/", 100), ("/dev/shm", 0.06))}, "CACHE_ON_DISK", id="shm"),
        pytest.param({"cpus_allowed": 2}, "2 of its 8 CPUs", id="cpus"),
    ],
)
def test_a_nuisance_is_a_note_and_no_problem(changes: dict[str, Any], told: str) -> None:
    assert plugin.problems(host(**changes), LIMITS) == []
    (note,) = plugin.notes(host(**changes), LIMITS)
    assert told in note


def test_a_sound_host_has_no_notes_and_is_told_in_a_line() -> None:
    assert plugin.notes(host(), LIMITS) == []
    assert plugin.notes(host(worker=False, space=df(("/", 100), ("/dev/shm", 0.06))), LIMITS) == []
    assert plugin.summary(host()) == (
        "Debian 12.11, x86_64, Python 3.11.2, 8 CPUs, 16 GiB of memory, 100 GiB free in /, 8 GiB free in /dev/shm"
    )


@pytest.mark.parametrize(
    "name", [*string.printable, "a b", "a/b", "..", "-a", "a" * 100, "a" * 101, "wörker", "n1.lab"]
)
def test_names_are_the_runtimes(name: str) -> None:
    assert bool(plugin.NAME.fullmatch(name)) == is_plain_name(name)
