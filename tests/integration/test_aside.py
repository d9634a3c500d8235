"""Commands beside trials: on no CPU that one of these is pinned to, from the first moment and later on."""

from __future__ import annotations

import os
import signal
import subprocess
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters import claims
from magma_remote.cli import aside
from magma_remote.errors import UsageError
from tests.support.commands import refused
from tests.support.processes.lock_holder import other
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CPUS = sorted(os.sched_getaffinity(0))


@pytest.fixture(autouse=True)
def claims_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the claims of this test alone are: other tests claim CPUs of this machine, too."""
    home = tmp_path_factory.mktemp("claims")
    home.chmod(0o1777)
    monkeypatch.setattr(claims, "_HOMES", (home,))
    return home / "magma-remote"


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    yield
    os.sched_setaffinity(0, CPUS)


def a_program() -> int:
    """Started by the process that calls."""
    return subprocess.Popen(["sleep", "60"]).pid


@pytest.mark.skipif(len(CPUS) < 2, reason="on one CPU there is none to step aside to")
class TestAside:
    def test_begins_off_the_cpus_of_trials(self, claims_folder: Path) -> None:
        with other("cpus", claims_folder, CPUS[0]):
            assert aside.aside(lambda: os.sched_getaffinity(0))() == set(CPUS[1:])

    def test_leaves_cpus_that_trials_take_later_and_comes_back(
        self, claims_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(aside, "_AGAIN", 0.01)

        def command() -> None:
            assert os.sched_getaffinity(0) == set(CPUS)
            with other("cpus", claims_folder, CPUS[0]):
                until(lambda: os.sched_getaffinity(0) == set(CPUS[1:]))
            until(lambda: os.sched_getaffinity(0) == set(CPUS))

        aside.aside(command)()

    def test_takes_its_processes_along(self, claims_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(aside, "_AGAIN", 0.01)

        def command() -> None:
            with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
                both = (pool.submit(os.getpid).result(), pool.submit(a_program).result())
                try:
                    assert [os.sched_getaffinity(process) for process in both] == [set(CPUS)] * 2
                    with other("cpus", claims_folder, CPUS[0]):
                        until(lambda: all(os.sched_getaffinity(process) == set(CPUS[1:]) for process in both), 20)
                    until(lambda: all(os.sched_getaffinity(process) == set(CPUS) for process in both), 20)
                finally:
                    os.kill(both[1], signal.SIGKILL)

        aside.aside(command)()

    def test_stays_where_it_is_while_all_cpus_are_its_own(self) -> None:
        def command() -> tuple[int, set[int]]:
            with claims.cpu_claims(CPUS, owner="a build"):
                aside._step(frozenset(CPUS))
                return os.sched_getscheduler(0), os.sched_getaffinity(0)

        assert aside.aside(command)() == (os.SCHED_OTHER, set(CPUS)), "idle priority would be for good"

    @pytest.mark.parametrize("name", ["dispatch", "extend", "images"])
    def test_commands_that_read_a_tree_begin_so(
        self, claims_folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def load_dispatch(*_: object) -> None:
            raise UsageError(f"{os.sched_getaffinity(0)}")

        monkeypatch.setattr(import_module(f"magma_remote.cli.commands.{name}"), "load_dispatch", load_dispatch)
        with other("cpus", claims_folder, CPUS[0]):
            assert refused(name) == f"{set(CPUS[1:])}"
