"""Collecting on machines in memory: killed anywhere, late, twice, and handed to a dispatcher."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.adapters.memory_clock import MemoryClock
from magma_remote.adapters.memory_queue import MemoryQueue
from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.errors import StorageError
from magma_remote.model.entries import CampaignState, JobState, RunState
from magma_remote.model.messages import Tube
from magma_remote.model.outcome import Reason
from magma_remote.runtime.collecting.handing import Handing
from tests.support.memory.mortals import Fuse, KilledError, MemoryResults
from tests.support.memory.untold import collect, lefts, untold
from tests.support.memory.world import RUN_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from magma_remote.model.entries import JobEntry, RunEntry
    from tests.support.memory.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return untold(tmp_path)


def states(world: World) -> list[JobState]:
    return [entry.state for entry in world.entries()]


def change(world: World, number: int, **values: Any) -> None:
    world.operate(lambda ledger: ledger.save_job(replace(_job(ledger.job(number)), **values)))


def _job(entry: JobEntry | None) -> JobEntry:
    assert entry
    return entry


def runs(world: World) -> tuple[RunEntry, ...]:
    with closing(SqliteLedger.open_existing(world.path)) as ledger:
        return ledger.runs()


def test_each_worker_is_told_of(world: World) -> None:
    told: list[str] = []
    assert len(collect(world, tell=told).fetched) == 3
    counts = Counter(left.name for left in lefts(world))
    assert sorted(told) == sorted(
        f"{name}: {count} result{'s' if count > 1 else ''} left there, fetching {number} of {count} …"
        for name, count in counts.items()
        for number in range(1, count + 1)
    )
    assert states(world) == [JobState.DONE] * 3
    world.check()
    assert collect(world).fetched == []


def test_killed_anywhere_the_next_one_goes_on(world: World, tmp_path: Path) -> None:
    killed = 0
    while True:
        try:
            collect(world, fuse=Fuse(killed))
        except KilledError:
            killed += 1
            continue
        break
    assert killed > 3
    assert states(world) == [JobState.DONE] * 3
    world.check()


def test_a_dispatcher_goes_on_after_a_collecting_that_was_killed(world: World) -> None:
    with pytest.raises(KilledError):
        collect(world, fuse=Fuse(3))
    world.start_dispatcher()
    for name in ("a", "b", "c"):
        world.start_worker(name)
    world.run(lambda: world.finished, at_most=RUN_SECONDS * 20)
    world.check()
    assert states(world) == [JobState.DONE] * 3


@pytest.mark.parametrize("spoil", ["corrupt", "unreachable"])
def test_what_cannot_be_had_changes_nothing_in_the_ledger(world: World, spoil: str) -> None:
    bad = lefts(world)[0]
    world.disks.corrupt.add(bad.feedback.run) if spoil == "corrupt" else world.disks.unreachable.add(bad.name)
    before = world.entries()[bad.feedback.number], [run for run in runs(world) if run.run == bad.feedback.run]
    collecting = collect(world)
    after = world.entries()[bad.feedback.number], [run for run in runs(world) if run.run == bad.feedback.run]
    assert after == before
    assert collecting.why[bad.feedback.number][0] == ("corrupt" if spoil == "corrupt" else "fetch")
    assert len(collecting.fetched) == 2


def test_of_two_results_the_first_that_holds_is_the_jobs(world: World) -> None:
    first = lefts(world)[0]
    kept = world.disks.kept[first.name][first.feedback.run]
    assert kept
    other = replace(kept.assignment, run=f"{first.feedback.run}2")
    world.disks.kept["z"] = {other.run: replace(kept, assignment=other, ended=replace(kept.ended, run=other.run))}
    world.disks.corrupt.add(first.feedback.run)
    assert len(collect(world).fetched) == 3
    assert world.entries()[first.feedback.number].run == other.run
    world.check()


def test_what_a_dispatcher_had_fetched_is_merged(world: World) -> None:
    with pytest.raises(KilledError):
        collect(world, fuse=Fuse(6))
    assert states(world) == [JobState.FETCHED] * 3
    for disk in world.disks.kept.values():
        disk.clear()
    collecting = collect(world)
    assert len(collecting.fetched) == 3
    assert not world.disks.fetched


def test_a_fetched_result_that_is_lost_here_is_fetched_again(world: World) -> None:
    with pytest.raises(KilledError):
        collect(world, fuse=Fuse(6))
    world.disks.fetched.clear()
    assert len(collect(world).fetched) == 3
    world.check()


@pytest.mark.parametrize(
    ("reason", "taken"), [(Reason.LOST, True), (Reason.FETCH, True), (Reason.DROPPED, False), (Reason.CANCELLED, False)]
)
def test_a_dead_job_takes_a_late_result_unless_a_person_gave_it_up(
    world: World, reason: Reason, *, taken: bool
) -> None:
    for number in range(3):
        change(world, number, state=JobState.DEAD, reason=reason)

    def end(ledger: Any) -> None:
        ledger.save_campaign(replace(ledger.campaign(), state=CampaignState.ENDED, ended_at=7.0))

    world.operate(end)
    assert len(collect(world).fetched) == (3 if taken else 0)
    with closing(SqliteLedger.open_existing(world.path)) as ledger:
        campaign = ledger.campaign()
    assert campaign
    assert (campaign.state, campaign.ended_at) == (CampaignState.ENDED, 7.0)


def test_a_full_disk_ends_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StorageError("/temp is full")

    monkeypatch.setattr(MemoryResults, "fetch", full)
    before = world.entries()
    with pytest.raises(StorageError, match="is full"):
        collect(world)
    assert world.entries() == before


class Ticking(MemoryClock):
    """While somebody waits, the world goes on."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        self._world.tick(seconds)


def hand(world: World, *, patience: float = 60.0) -> tuple[Handing, bool]:
    with closing(SqliteLedger(world.path)) as ledger:
        queue = MemoryQueue(world.server)
        handing = Handing(ledger, queue, Ticking(world), tell=lambda _: None, size=lambda: 0, patience=patience)
        handing.hand(lefts(world))
        return handing, handing.wait(lambda: False)


def test_a_dispatcher_that_runs_is_handed_what_is_found(world: World) -> None:
    world.start_dispatcher()
    world.tick()
    handing, settled = hand(world)
    assert (settled, len(handing.fetched), handing.why) == (True, 3, {})
    again, _ = hand(world)
    assert again.fetched == []
    assert not world.server.messages(Tube.FEEDBACK)


def test_what_is_not_needed_any_more_is_not_waited_for(world: World) -> None:
    with closing(SqliteLedger(world.path)) as ledger:
        for run in ledger.runs():
            ledger.save_run(replace(run, state=RunState.REPORTED))
    for number, state in enumerate((JobState.DONE, JobState.DEAD, JobState.FETCHED)):
        change(world, number, state=state, run=f"{number}-another", reason=Reason.DROPPED)
    handing, settled = hand(world)
    assert (settled, handing.fetched, handing.why) == (True, [], {})


def test_a_dispatcher_that_hears_nothing_is_not_waited_for_for_ever(world: World) -> None:
    handing, settled = hand(world)
    assert not settled
    assert {reason for reason, _ in handing.why.values()} == {"not_fetched"}
    assert len(handing.why) == 3


def test_a_dispatcher_that_cannot_fetch_is_told_of(world: World) -> None:
    world.start_dispatcher()
    bad = lefts(world)[0]
    world.disks.unreachable.add(bad.name)
    handing, settled = hand(world, patience=600.0)
    assert not settled
    assert list(handing.why) == [bad.feedback.number]
    assert [run.state for run in runs(world) if run.run == bad.feedback.run] == [RunState.REPORTED]
