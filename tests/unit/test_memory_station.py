from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.memory_clock import MemoryClock
from magma_remote.adapters.memory_station import MemoryMachine, MemoryStation
from magma_remote.model.jobs import Job
from magma_remote.model.messages import Broadcast
from magma_remote.model.outcome import Reason
from magma_remote.ports import Assignment, Prepared, RunEnded

if TYPE_CHECKING:
    from magma_remote.ports import Kept, Station

BROADCAST = Broadcast(config_id="c1", source="c.hjson", text="", tree="", since=0.0, dispatcher="d", workdir="/w")


def an_assignment(number: int = 0, cpu: int = 0) -> Assignment:
    job = Job(repeat=number, fuzzer="afl", target="libpng", program="readpng")
    return Assignment(config_id="c1", run=f"{number}-aaaaaa", number=number, attempt=1, job=job, cpus=(cpu,))


def a_station(**machine: object) -> tuple[MemoryStation, MemoryClock, dict[str, Kept | None]]:
    clock, disk = MemoryClock(), dict[str, "Kept | None"]()
    return MemoryStation("w1", clock, disk, MemoryMachine(**machine)), clock, disk  # type: ignore[arg-type]  # by name


def test_it_is_a_station() -> None:
    station: Station = a_station()[0]
    assert station.news() == []


def test_preparing_takes_its_time() -> None:
    station, clock, _ = a_station(prepare_seconds=5.0, demands={"afl": 2})
    station.prepare(BROADCAST)
    clock.sleep(4.9)
    assert (station.news(), station.progress()) == ([], "preparing")
    clock.sleep(0.2)
    (news,) = station.news()
    assert isinstance(news, Prepared)
    assert (news.config_id, news.sets, news.demands) == ("c1", ((0,), (1,)), {"afl": 2})
    assert (station.news(), station.progress()) == ([], "")


def test_a_complete_run_outlives_its_station() -> None:
    station, clock, disk = a_station(run_seconds=60.0)
    station.start(an_assignment(0, cpu=0))
    clock.sleep(30.0)
    station.start(an_assignment(1, cpu=1))
    clock.sleep(30.0)
    (ended,) = station.news()
    assert isinstance(ended, RunEnded)
    assert (ended.run, ended.reason) == ("0-aaaaaa", None)
    after = MemoryStation("w1", clock, disk)
    assert [kept.assignment.number for kept in after.kept()] == [0]
    assert list(disk) == ["0-aaaaaa"]  # the half of the other one is reaped
    after.forget("0-aaaaaa")
    assert (after.kept(), disk) == ((), {})


def test_a_stop_ends_a_run_that_has_not_ended() -> None:
    station, clock, disk = a_station(run_seconds=60.0, stop_seconds=2.0)
    station.start(an_assignment())
    clock.sleep(1.0)
    station.stop("0-aaaaaa")
    assert station.news() == []
    clock.sleep(2.0)
    (ended,) = station.news()
    assert isinstance(ended, RunEnded)
    assert (ended.reason, disk) == (Reason.INTERRUPTED, {})


def test_a_stop_comes_too_late_for_a_run_that_is_done() -> None:
    station, clock, _ = a_station(run_seconds=60.0)
    station.start(an_assignment())
    clock.sleep(61.0)
    station.stop("0-aaaaaa")
    (ended,) = station.news()
    assert isinstance(ended, RunEnded)
    assert ended.reason is None


def test_a_scripted_failure_leaves_nothing() -> None:
    station, clock, disk = a_station(fails=lambda assignment: Reason.DISK if assignment.number else None)
    station.start(an_assignment(1))
    assert disk == {"1-aaaaaa": None}
    clock.sleep(61.0)
    (ended,) = station.news()
    assert isinstance(ended, RunEnded)
    assert (ended.reason, disk) == (Reason.DISK, {})


def test_it_remembers_who_shared_a_cpu() -> None:
    station, _, _ = a_station()
    station.start(an_assignment(0, cpu=0))
    station.start(an_assignment(1, cpu=1))
    station.start(an_assignment(2, cpu=1))
    assert station.clashes == [("1-aaaaaa", "2-aaaaaa")]


def test_preparing_beside_a_run_is_a_defect_of_the_worker() -> None:
    station, _, _ = a_station()
    station.start(an_assignment())
    with pytest.raises(AssertionError, match="0-aaaaaa"):
        station.prepare(BROADCAST)


def test_the_next_news_is_foretold() -> None:
    station, clock, _ = a_station(prepare_seconds=5.0, run_seconds=60.0)
    assert station.next_due() is None
    station.prepare(BROADCAST)
    assert station.next_due() == clock.monotonic() + 5.0
