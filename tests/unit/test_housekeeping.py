"""What dead runs left goes, what live ones hold stays; our own work keeps off the trials' CPUs."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.memory import MemoryGuards
from magma_remote.model.container import CPUS_LABEL, JOB_LABEL, WORKDIR_LABEL, ContainerSpec
from magma_remote.model.jobs import Job
from magma_remote.runtime.cache import Shared
from magma_remote.runtime.housekeeping import all_threads, keep_off, reap

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.conftest import Lab

OURS = (0, 1)
NO_THREAD = 2**22 + 1  # above the highest number that Linux gives
JOB = Job(repeat=9, fuzzer="afl", target="libpng", program="readpng")


def container_of(lab: Lab, owner: Path, cpus: str) -> str:
    labels = {WORKDIR_LABEL: str(owner), JOB_LABEL: str(JOB), CPUS_LABEL: cpus}
    return lab.runner.create(ContainerSpec(image="x", shared=lab.shm, cpus=(), environment={}, labels=labels))


def reaped(lab: Lab) -> None:
    site = lab.site()
    reap(OURS, lab.workdir, site.cache, runner=lab.runner, guards=lab.guards, reporter=lab.reporter)


@pytest.mark.parametrize(
    ("cpus", "held", "left"),
    [
        pytest.param("0", {0, 1}, False, id="on-our-cpus"),
        pytest.param("0,1", {0, 1}, False, id="on-all-of-our-cpus"),
        pytest.param("2", {0, 1, 2}, True, id="of-a-run-that-lives"),
        pytest.param("1,2", {0, 1, 2}, True, id="half-on-ours-of-a-run-that-lives"),
        pytest.param("2,3", {0, 1}, False, id="of-a-run-that-died"),
        pytest.param("2,3", {0, 1, 3}, True, id="one-of-its-cpus-is-held"),
    ],
)
def test_containers(lab: Lab, tmp_path: Path, cpus: str, held: set[int], *, left: bool) -> None:
    lab.guards.held |= held
    found = container_of(lab, tmp_path / "wherever", cpus)
    reaped(lab)
    assert (found in lab.runner.containers) == left
    assert any(found[:12] in note for note in lab.reporter.notes) != left


def test_foreign_containers_are_left_alone(lab: Lab) -> None:
    spec = ContainerSpec(image="x", shared=lab.shm, cpus=(), environment={}, labels={"com.example": "1"})
    found = lab.runner.create(spec)
    reaped(lab)
    assert found in lab.runner.containers


def test_half_made_archives_go(lab: Lab) -> None:
    site = lab.site()
    (site.workdir.staging / "half").mkdir()
    reaped(lab)
    assert not site.workdir.staging.exists()


@pytest.mark.parametrize("complete", [True, False])
def test_caches_of_our_own(lab: Lab, *, complete: bool) -> None:
    shared = Shared(lab.site().cache.trial(JOB))
    shared.make()
    if complete:
        shared.complete.write_text("{}")
    reaped(lab)
    assert shared.path.exists() == complete


def in_a_thread(cpus: tuple[int, ...], *claimed: int) -> tuple[set[int], int]:
    """The mask and the scheduling policy after `keep_off(cpus)`: both are a thread's own, pytest keeps what it has."""
    seen: list[tuple[set[int], int]] = []

    def act() -> None:
        keep_off(cpus, frozenset(os.sched_getaffinity(0)), MemoryGuards(*claimed))
        seen.append((os.sched_getaffinity(0), os.sched_getscheduler(0)))

    thread = threading.Thread(target=act)
    thread.start()
    thread.join()
    return seen[0]


def test_other_cpus_are_taken() -> None:
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) == 1:
        pytest.skip("one CPU leaves no other")
    mask, policy = in_a_thread((mine[0],))
    assert mask == set(mine[1:])
    assert policy == os.sched_getscheduler(0)


def test_cpus_of_another_run_are_not_taken() -> None:
    mine = sorted(os.sched_getaffinity(0))
    assert in_a_thread((mine[0],), *mine[1:]) == ({mine[0]}, os.SCHED_IDLE)


def test_without_others_we_run_when_all_is_idle() -> None:
    mine = os.sched_getaffinity(0)
    assert in_a_thread(tuple(mine)) == (mine, os.SCHED_IDLE)


def test_threads_that_run_already_are_moved_and_ended_ones_are_passed_over() -> None:
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) == 1:
        pytest.skip("one CPU leaves no other")
    told, go_on = threading.Event(), threading.Event()

    def act() -> None:
        told.set()
        go_on.wait(10)

    other = threading.Thread(target=act)
    other.start()
    assert told.wait(10)
    number = other.native_id or 0
    assert number in all_threads()
    try:
        keep_off((mine[0],), frozenset(mine), MemoryGuards(), threads=(number, NO_THREAD))
        assert os.sched_getaffinity(number) == set(mine[1:])
        keep_off((mine[0],), frozenset(mine), MemoryGuards(*mine[1:]), threads=(number, NO_THREAD))
        assert (os.sched_getaffinity(number), os.sched_getscheduler(number)) == ({mine[0]}, os.SCHED_IDLE)
        assert os.sched_getaffinity(0) == set(mine)
    finally:
        go_on.set()
        other.join()
