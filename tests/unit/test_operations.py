"""What people do to a campaign beside its dispatcher."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.memory_clock import MemoryClock
from magma_remote.adapters.memory_queue import MemoryQueue
from magma_remote.adapters.memory_server import MemoryServer
from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.errors import LedgerError, UsageError
from magma_remote.model.entries import CampaignState, JobState, RunState
from magma_remote.model.heartbeat import WorkerState
from magma_remote.model.messages import Orders, orders_tube
from magma_remote.model.outcome import Reason
from magma_remote.runtime.dispatcher import operations
from tests.support.workdirs.dispatched import CONFIG, DEAD, DONE, QUEUED, RUNNING, dispatched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIRST_DEAD = DONE + RUNNING
FIRST_QUEUED = FIRST_DEAD + DEAD


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    opened = dispatched(tmp_path)
    yield opened
    opened.close()


def states(ledger: SqliteLedger) -> dict[JobState, int]:
    return {state: count for state, count in ledger.counts().items() if count}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("132", id="number"),
        pytest.param("8,libfuzzer,libpng,libpng_read_fuzzer,", id="text"),
        pytest.param(f"{CONFIG},8,libfuzzer,libpng,libpng_read_fuzzer,", id="text with its config id"),
    ],
)
def test_names_of_a_job(ledger: SqliteLedger, name: str) -> None:
    assert operations.find_jobs(ledger, (name, "0", "132")) == (132, 0)


def test_every_name_that_is_no_jobs_is_told(ledger: SqliteLedger) -> None:
    names = ("1", "200", "-1", "1" * 40, "9,afl,libpng,x,", "")
    with pytest.raises(UsageError, match=r'no job "200", "-1", "1+", "9,afl,libpng,x,", "": a job is named by'):
        operations.find_jobs(ledger, names)


def test_requeue_one(ledger: SqliteLedger) -> None:
    before = ledger.job(FIRST_DEAD)
    assert before
    ledger.save_job(replace(before, queue_id=5, avoid=("id1",)))
    changes = operations.requeue(ledger, [FIRST_DEAD])
    assert changes.changed == (replace(before, state=JobState.WAITING, attempts=0, reason=None, message=""),)
    assert not changes.reopened
    assert ledger.job(FIRST_DEAD) == changes.changed[0]
    assert states(ledger)[JobState.DEAD] == DEAD - 1


def test_requeue_all(ledger: SqliteLedger) -> None:
    assert len(operations.requeue(ledger, None).changed) == DEAD
    assert JobState.DEAD not in states(ledger)
    assert operations.requeue(ledger, None).changed == ()


def test_requeue_refuses_what_is_not_dead(ledger: SqliteLedger) -> None:
    before = states(ledger)
    changes = operations.requeue(ledger, [0, DONE, FIRST_QUEUED])
    assert [why for _, why in changes.refused] == [
        "it is done, and its result is there",
        "it is not dead but running",
        "it is not dead but queued",
    ]
    assert (changes.changed, states(ledger)) == ((), before)


def test_requeue_of_a_result_that_was_lost(ledger: SqliteLedger) -> None:
    before = ledger.job(0)
    assert before
    changes = operations.requeue(ledger, [0], give_up=lambda job: "" if job == before.job else "no")
    assert changes.changed == (replace(before, state=JobState.WAITING, attempts=0, run=None),)
    run = ledger.run(before.run or "")
    assert run
    assert (run.state, run.message) == (RunState.DROPPED, "its result was lost, and given up")


@pytest.mark.parametrize("state", [CampaignState.ENDED, CampaignState.CANCELLED])
def test_requeue_opens_a_campaign_that_has_ended(ledger: SqliteLedger, state: CampaignState) -> None:
    campaign = operations.campaign_of(ledger)
    ledger.save_campaign(replace(campaign, state=state, ended_at=5.0))
    assert not operations.requeue(ledger, [0]).reopened
    assert operations.campaign_of(ledger).state is state
    assert operations.requeue(ledger, None).reopened
    assert ledger.campaign() == campaign


def test_requeue_waits_for_the_end_of_a_cancelled_campaign(ledger: SqliteLedger) -> None:
    operations.cancel(ledger)
    with pytest.raises(UsageError, match="is being cancelled"):
        operations.requeue(ledger, None)
    assert states(ledger)[JobState.DEAD] == DEAD


def test_drop(ledger: SqliteLedger) -> None:
    fetched = ledger.job(1)
    assert fetched
    ledger.save_job(replace(fetched, state=JobState.FETCHED))
    changes = operations.drop(ledger, [0, 1, DONE, FIRST_DEAD, FIRST_QUEUED])
    assert [entry.number for entry in changes.changed] == [DONE, FIRST_DEAD, FIRST_QUEUED]
    assert {(entry.state, entry.reason) for entry in changes.changed} == {(JobState.DEAD, Reason.DROPPED)}
    assert [(entry.number, why) for entry, why in changes.refused] == [
        (0, "it has its result already"),
        (1, "it has its result already"),
    ]
    queued = ledger.job(FIRST_QUEUED)
    assert queued
    assert queued.queue_id == FIRST_QUEUED, "the dispatcher finds the message that it has to remove"
    assert [why for _, why in operations.drop(ledger, [DONE]).refused] == ["it was dropped before"]


def test_what_is_dropped_can_be_requeued(ledger: SqliteLedger) -> None:
    operations.drop(ledger, [FIRST_QUEUED])
    assert operations.requeue(ledger, [FIRST_QUEUED]).changed[0].state is JobState.WAITING


def test_cancel(ledger: SqliteLedger) -> None:
    assert operations.cancel(ledger).state is CampaignState.OPEN
    assert operations.campaign_of(ledger).state is CampaignState.CANCELLED
    assert operations.cancel(ledger).state is CampaignState.CANCELLED
    assert states(ledger)[JobState.QUEUED] == QUEUED, "its dispatcher ends the jobs"


def test_nothing_left_to_cancel(ledger: SqliteLedger) -> None:
    campaign = operations.campaign_of(ledger)
    ledger.save_campaign(replace(campaign, state=CampaignState.ENDED, ended_at=5.0))
    with pytest.raises(UsageError, match="has ended"):
        operations.cancel(ledger)


def test_graves_are_of_dead_jobs_and_of_those_that_failed(ledger: SqliteLedger) -> None:
    lost = replace(ledger.runs(number=3)[0], run="3-lost", state=RunState.LOST)
    ledger.save_run(lost)
    found = operations.graves(ledger)
    assert [grave.entry.number for grave in found] == [3, *range(FIRST_DEAD, FIRST_QUEUED)]
    assert found[0].runs == (lost,)
    assert [len(grave.runs) for grave in found[1:]] == [3] * DEAD


def test_a_dead_job_that_never_ran_has_a_grave(ledger: SqliteLedger) -> None:
    operations.drop(ledger, [FIRST_QUEUED])
    assert operations.graves(ledger)[-1].runs == ()


def test_find_a_worker(ledger: SqliteLedger) -> None:
    assert operations.find_worker(ledger, "worker-2").worker == "id1"
    assert operations.find_worker(ledger, "id1").worker == "id1"


def test_an_unknown_worker_is_told_the_known_ones(ledger: SqliteLedger) -> None:
    with pytest.raises(UsageError) as caught:
        operations.find_worker(ledger, "worker2")
    known = "worker-1, worker-2, worker-3, worker-4, worker-5"
    assert str(caught.value) == f'no worker "worker2": known are {known}; did you mean worker-2?'


def test_of_two_workers_with_one_name_the_one_that_is_there(ledger: SqliteLedger) -> None:
    entry = operations.find_worker(ledger, "id1")
    beat = replace(entry.heartbeat, worker="old")
    ledger.save_worker(replace(entry, worker="old", heartbeat=beat, lost=True))
    assert operations.find_worker(ledger, "worker-2").worker == "id1"
    ledger.save_worker(replace(entry, worker="old", heartbeat=beat))
    with pytest.raises(UsageError, match=r"several workers: say which, id1 \(on 10.0.0.2\) or old \(on 10.0.0.2\)"):
        operations.find_worker(ledger, "worker-2")


def test_drain(ledger: SqliteLedger) -> None:
    queue = MemoryQueue(MemoryServer(MemoryClock()))
    operations.drain(ledger, queue, operations.find_worker(ledger, "worker-1"))
    message = queue.reserve(orders_tube("id0"))
    assert message
    assert Orders.decode(message.body) == Orders(config_id=CONFIG, drain=True)


@pytest.mark.parametrize(("state", "said"), [(WorkerState.READY, "is lost"), (WorkerState.STOPPED, "has stopped")])
def test_nobody_there_to_drain(ledger: SqliteLedger, state: WorkerState, said: str) -> None:
    queue = MemoryQueue(MemoryServer(MemoryClock()))
    entry = operations.find_worker(ledger, "worker-5")
    ledger.save_worker(replace(entry, heartbeat=replace(entry.heartbeat, state=state)))
    with pytest.raises(UsageError, match=said):
        operations.drain(ledger, queue, operations.find_worker(ledger, "worker-5"))
    assert queue.tube_stats(orders_tube("id4")).total == 0


def test_a_ledger_without_a_campaign(tmp_path: Path) -> None:
    empty = SqliteLedger(tmp_path / "ledger.sqlite")
    with pytest.raises(LedgerError, match="no campaign yet"):
        operations.cancel(empty)
    empty.close()
