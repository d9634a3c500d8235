"""Our own work keeps off the trials' CPUs."""

from __future__ import annotations

import os
import threading

import pytest

from magma_remote.adapters.memory_guards import MemoryGuards
from magma_remote.runtime.affinity import all_threads, keep_off

NO_THREAD = 2**22 + 1  # above the highest number that Linux gives


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
