"""Choosing sets, and how long a list of campaigns lasts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_remote.errors import CpuError
from magma_remote.model.schedule import choose_sets, makespan, sets_needed

SIZES = st.lists(st.integers(1, 4), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("sizes", "free", "demand", "chosen"),
    [
        pytest.param([1, 1, 1], [0, 1, 2], 1, (0,), id="lowest"),
        pytest.param([1, 1, 1, 1, 1], [0, 2, 3], 2, (2, 3), id="neighbours"),
        pytest.param([1, 1, 1, 1, 1], [0, 2, 4], 2, (0, 2), id="nearest"),
        pytest.param([2, 1, 1], [0, 1, 2], 1, (1,), id="best-fit"),
        pytest.param([1, 2], [0, 1], 2, (1,), id="one-set-over-two"),
        pytest.param([4, 4], [0, 1], 1, (0,), id="less-than-a-set"),
        pytest.param([4, 4], [0, 1], 8, (0, 1), id="all"),
        pytest.param([1, 1], [1], 2, (), id="too-few"),
        pytest.param([1], [], 1, (), id="nothing-free"),
    ],
)
def test_choose_sets(sizes: list[int], free: list[int], demand: int, chosen: tuple[int, ...]) -> None:
    assert choose_sets(sizes, free, demand) == chosen


@given(st.data(), SIZES, st.integers(1, 12))
def test_a_choice_is_enough_and_nothing_in_it_is_too_much(data: st.DataObject, sizes: list[int], demand: int) -> None:
    free = sorted(data.draw(st.sets(st.sampled_from(range(len(sizes))))))
    chosen = choose_sets(sizes, free, demand)
    held = sum(sizes[index] for index in chosen)
    assert bool(chosen) == (sum(sizes[index] for index in free) >= demand)
    assert set(chosen) <= set(free)
    if chosen:
        assert held >= demand
        assert held - sizes[chosen[0]] < demand or len(chosen) == 1
        assert held - sizes[chosen[-1]] < demand or len(chosen) == 1


def test_sets_needed() -> None:
    assert [sets_needed([2, 2, 2], demand) for demand in (1, 2, 3, 6)] == [1, 1, 2, 3]
    with pytest.raises(CpuError, match=r"7 logical CPUs .* hold 6"):
        sets_needed([2, 2, 2], 7)


@pytest.mark.parametrize(
    ("demands", "sizes", "busy", "seconds"),
    [
        pytest.param([], [1], [], 0, id="nothing"),
        pytest.param([], [1, 1], [0, 7], 7, id="only-running"),
        pytest.param([1, 1, 1], [1, 1], [], 20, id="two-rounds"),
        pytest.param([2, 1], [1, 1], [], 20, id="wide-then-narrow"),
        pytest.param([1, 2, 1], [1, 1], [], 30, id="wide-holds-back-narrow"),
        pytest.param([1], [1, 1], [3, 4], 13, id="first-that-comes-free"),
        pytest.param([2], [1, 1], [3, 4], 14, id="waits-for-both"),
        pytest.param([1], [1, 1], [0, 40], 40, id="running-lasts-longer"),
    ],
)
def test_makespan(demands: list[int], sizes: list[int], busy: list[float], seconds: float) -> None:
    assert makespan(demands, sizes, 10, busy=busy) == seconds


def test_makespan_of_what_can_never_run() -> None:
    with pytest.raises(CpuError, match="3 logical CPUs"):
        makespan([1, 3], [1, 1], 10)


@given(st.integers(0, 60), st.integers(1, 3), st.integers(1, 3), st.integers(1, 12))
def test_uniform_demands_are_rounds(jobs: int, size: int, demand: int, sets: int) -> None:
    slots = sets // math.ceil(demand / size)
    if slots:
        assert makespan([demand] * jobs, [size] * sets, 5) == math.ceil(jobs / slots) * 5


def brute(demands: list[int], sizes: list[int], seconds: int, busy: list[int]) -> int:
    """Tick by tick: free what ended, then start from the head of the queue while it fits."""
    left, waiting, now = dict(enumerate(busy)), list(demands), 0
    while waiting or any(left.values()):
        while waiting:
            free = [index for index in range(len(sizes)) if not left.get(index)]
            chosen = choose_sets(sizes, free, waiting[0])
            if not chosen:
                break
            left.update(dict.fromkeys(chosen, seconds))
            waiting.pop(0)
        now += 1
        left = {index: max(0, ticks - 1) for index, ticks in left.items()}
    return now


@given(st.data(), SIZES, st.integers(1, 9))
def test_makespan_is_what_a_simulation_takes(data: st.DataObject, sizes: list[int], seconds: int) -> None:
    demands = data.draw(st.lists(st.integers(1, sum(sizes)), max_size=12))
    busy = data.draw(st.lists(st.integers(0, 9), max_size=len(sizes)))
    assert makespan(demands, sizes, seconds, busy=busy) == brute(demands, sizes, seconds, busy)


def test_many_jobs_on_many_sets_are_quick() -> None:
    assert makespan([1, 2, 4] * 4000, [1] * 128, 60) > 0
