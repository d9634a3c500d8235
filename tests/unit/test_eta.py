"""The estimate of a campaign's end, held against the schedule that it shortens."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_remote.model.eta import Slots, eta
from magma_remote.model.schedule import makespan

TIMEOUT = 10.0


def slots(*sizes: int, busy: tuple[float, ...] = (), cannot: tuple[str, ...] = ()) -> Slots:
    """Sets of these sizes, the first ones busy for so long."""
    sets, first = [], 0
    for size in sizes:
        sets.append(tuple(range(first, first + size)))
        first += size
    taken = tuple((one, left) for one, left in zip(sets, busy, strict=False))
    return Slots(sets=tuple(sets), busy=taken, cannot=frozenset(cannot))


@given(
    st.integers(0, 60),
    st.lists(st.lists(st.integers(0, int(TIMEOUT)), min_size=1, max_size=5), min_size=1, max_size=4),
    st.integers(0, 20),
)
def test_jobs_of_one_set_are_scheduled_exactly(jobs: int, workers: list[list[int]], others: int) -> None:
    ready = [slots(*[1] * len(busy), busy=tuple(map(float, busy))) for busy in workers]
    busy = [left for one in workers for left in one]
    exact = makespan([1] * jobs, [1] * len(busy), TIMEOUT, busy=busy)
    assert eta({"afl": jobs}, ready, TIMEOUT, others=max(others, *busy)) == pytest.approx(max(others, exact))


@pytest.mark.parametrize(
    ("remaining", "ready", "demands", "seconds"),
    [
        pytest.param({"a": 4}, [slots(1, 1, 1, 1)], {"a": 2}, 20.0, id="two sets each"),
        pytest.param({"a": 4}, [slots(2, 2)], {"a": 2}, 20.0, id="a wide set each"),
        pytest.param({"a": 2, "b": 2}, [slots(1, 1, 1)], {"a": 2}, 30.0, id="wide and narrow"),
        pytest.param({"a": 3}, [slots(1, 1), slots(1, 1, 1, 1)], {"a": 2}, 10.0, id="never over two machines"),
        pytest.param({"a": 2}, [slots(1, 1, 1), slots(1)], {"a": 2}, 20.0, id="a worker that is too narrow"),
        pytest.param({"a": 2}, [slots(1), slots(1, cannot=("a",))], {}, 20.0, id="one cannot"),
        pytest.param({"a": 2, "b": 0}, [slots(1, cannot=("b",))], {}, 20.0, id="nothing left of what none can"),
        pytest.param({"a": 1, "b": 1}, [slots(1, cannot=("b",))], {}, None, id="something left that none can"),
        pytest.param({"a": 30}, [slots(1, 1, 1)], {"a": 3}, 300.0, id="whole numbers stay whole"),
        pytest.param({}, [], {}, 0.0, id="nothing"),
    ],
)
def test_wider_jobs(
    remaining: dict[str, int], ready: list[Slots], demands: dict[str, int], seconds: float | None
) -> None:
    assert eta(remaining, ready, TIMEOUT, demands=demands) == (None if seconds is None else pytest.approx(seconds))


def test_a_million_jobs_are_quick() -> None:
    start = time.perf_counter()
    assert eta({"afl": 1_000_000}, [slots(1, 1, 1, 1)] * 64, TIMEOUT)
    assert time.perf_counter() - start < 0.1
