"""Leases of CPU sets: never shared, in order, never stuck, never lost."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magma_remote.errors import CpuError, StoppedError
from magma_remote.runtime.leases import CpuLeases
from tests.support.waiting import DEADLINE, until

if TYPE_CHECKING:
    from magma_remote.model.cpus import CpuSet

PAIRS: tuple[CpuSet, ...] = ((0, 64), (1, 65), (2, 66), (3, 67))


class Waiter(threading.Thread):
    """A thread that leases, notes its name when served, and holds until told."""

    def __init__(
        self, leases: CpuLeases, name: str, demand: int, served: list[str], stop: threading.Event | None = None
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.leases, self.demand, self.served, self.stop = leases, demand, served, stop
        self.done = threading.Event()
        self.error: Exception | None = None
        before = leases.waiting
        self.start()
        until(lambda: leases.waiting > before or name in served)

    def run(self) -> None:
        try:
            with self.leases.lease(self.demand, stop=self.stop):
                self.served.append(self.name)
                assert self.done.wait(DEADLINE)
        except StoppedError as error:
            self.error = error

    def finish(self) -> None:
        self.done.set()
        self.join(DEADLINE)
        assert not self.is_alive()


@pytest.mark.parametrize(
    ("demand", "cpus"),
    [
        pytest.param(1, (0, 64), id="less-than-a-set"),
        pytest.param(2, (0, 64), id="a-set"),
        pytest.param(3, (0, 1, 64, 65), id="more-than-a-set"),
        pytest.param(8, (0, 1, 2, 3, 64, 65, 66, 67), id="all"),
    ],
)
def test_a_lease_takes_whole_sets(demand: int, cpus: CpuSet) -> None:
    leases = CpuLeases(PAIRS)
    with leases.lease(demand) as leased:
        assert leased == cpus
        assert len(leases.free) == 4 - len(cpus) // 2
    assert leases.free == PAIRS


def test_neighbours_are_preferred() -> None:
    leases = CpuLeases(PAIRS)
    with ExitStack() as first:
        first.enter_context(leases.lease(1))
        with leases.lease(1) as second:
            first.close()
            assert second == (1, 65)
            with leases.lease(4) as wide:
                assert wide == (2, 3, 66, 67)


def test_a_demand_above_all_sets_fails_at_once() -> None:
    leases = CpuLeases(PAIRS)
    with leases.lease(8):
        with pytest.raises(CpuError, match=r"9 logical CPUs .* hold 8"), leases.lease(9):
            pass
        with pytest.raises(CpuError, match="9 logical CPUs"):
            leases.try_lease(9)


def test_try_lease_never_waits() -> None:
    leases = CpuLeases(PAIRS)
    lease = leases.try_lease(5)
    assert lease
    assert leases.try_lease(3) is None
    with lease as cpus:
        assert cpus == lease.cpus == (0, 1, 2, 64, 65, 66)
    assert leases.free == PAIRS


def test_a_second_release_gives_nothing_away() -> None:
    leases = CpuLeases(PAIRS)
    lease = leases.try_lease(8)
    assert lease
    lease.release()
    with leases.lease(8):
        lease.release()
        assert leases.free == ()


def test_try_lease_does_not_overtake_who_waits() -> None:
    leases, served = CpuLeases(PAIRS), list[str]()
    with leases.lease(2):
        wide = Waiter(leases, "wide", 8, served)
        assert leases.try_lease(1) is None
    until(lambda: served == ["wide"])
    wide.finish()
    assert leases.free == PAIRS


def test_who_waits_is_served_in_order() -> None:
    leases, served = CpuLeases(PAIRS), list[str]()
    with leases.lease(1):
        waiters = [Waiter(leases, f"{i}", demand, served) for i, demand in enumerate([8, 1, 5, 8, 2])]
        assert served == []  # 1 fits, but would starve 0
    for count, waiter in enumerate(waiters, start=1):
        until(lambda want=count: len(served) >= want)  # type: ignore[misc]  # a loop variable bound early
        waiter.finish()
    assert served == ["0", "1", "2", "3", "4"]
    assert leases.free == PAIRS


def test_a_stop_ends_the_wait_and_lets_the_next_one_in() -> None:
    leases, served, stop = CpuLeases(PAIRS), list[str](), threading.Event()
    with leases.lease(1):
        wide = Waiter(leases, "wide", 8, served, stop)
        narrow = Waiter(leases, "narrow", 1, served)
        stop.set()
        until(lambda: served == ["narrow"])
        wide.finish()
        assert str(wide.error) == "stopped while waiting for 8 free CPUs"
        narrow.finish()
    assert leases.free == PAIRS


def test_a_stop_that_is_set_leases_nothing() -> None:
    leases, stop = CpuLeases(PAIRS), threading.Event()
    stop.set()
    with pytest.raises(StoppedError), leases.lease(1, stop=stop):
        pass
    assert (leases.free, leases.waiting) == (PAIRS, 0)


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit], ids=lambda kind: kind.__name__)
def test_an_error_in_the_block_gives_the_cpus_back(kind: type[BaseException]) -> None:
    leases = CpuLeases(PAIRS)
    with pytest.raises(kind), leases.lease(8):
        raise kind
    assert leases.free == PAIRS


class Book:
    """Who holds which CPU; fails the moment two hold one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.held: set[int] = set()

    def enter(self, cpus: CpuSet) -> None:
        with self.lock:
            assert not self.held & set(cpus)
            self.held |= set(cpus)

    def leave(self, cpus: CpuSet) -> None:
        with self.lock:
            self.held -= set(cpus)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_no_cpu_is_in_two_leases_and_none_is_lost(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=6))
    numbers = iter(range(sum(sizes)))
    sets = tuple(tuple(next(numbers) for _ in range(size)) for size in sizes)
    work = data.draw(st.lists(st.tuples(st.integers(1, sum(sizes)), st.sampled_from([None, ValueError])), max_size=40))
    leases, book = CpuLeases(sets), Book()

    def trial(demand: int, error: type[Exception] | None) -> None:
        with leases.lease(demand) as cpus:
            assert len(cpus) >= demand
            book.enter(cpus)
            time.sleep(0)
            book.leave(cpus)
            if error:
                raise error

    with ThreadPoolExecutor(8) as pool:
        trials = [pool.submit(trial, *item) for item in work]
        assert [type(trial.exception(DEADLINE)) for trial in trials] == [error or type(None) for _, error in work]
    assert (leases.free, leases.waiting) == (sets, 0)


def test_many_threads_with_wide_demands_and_stops_come_through() -> None:
    sets = tuple((cpu,) for cpu in range(6))
    leases, book, stop = CpuLeases(sets), Book(), threading.Event()

    def worker(seed: int) -> int:
        served = 0
        for turn in range(60):
            try:
                with leases.lease(1 + (seed * 7 + turn * 5) % 6, stop=stop if seed % 4 == 0 else None) as cpus:
                    book.enter(cpus)
                    served += 1
                    book.leave(cpus)
            except StoppedError:
                return served
        return served

    with ThreadPoolExecutor(24) as pool:
        counts = [pool.submit(worker, seed) for seed in range(24)]
        until(counts[1].done)
        stop.set()
        results = [future.result(DEADLINE) for future in counts]
    assert all(count == 60 for seed, count in enumerate(results) if seed % 4)
    assert (leases.free, leases.waiting) == (sets, 0)
