"""What a ledger keeps and finds."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.errors import LedgerError
from magma_remote.model.canaries import Bugs
from magma_remote.model.entries import (
    CampaignState,
    JobEntry,
    JobState,
    RunState,
    Warned,
)
from magma_remote.model.outcome import Reason
from tests.support.ledger.entries import BEAT, CAMPAIGN, JOB, RUN, WARNED, WORKER, a_job, a_run, pairs_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from magma_remote.ports import Ledger


def numbers(entries: Iterator[JobEntry]) -> list[int]:
    return [entry.number for entry in entries]


@pytest.mark.parametrize("entry", [CAMPAIGN, JOB, RUN, BEAT, WORKER, WARNED], ids=lambda entry: type(entry).__name__)
def test_these_entries_have_every_field_set(entry: Any) -> None:
    defaults = {field.name: field.default for field in fields(entry)}
    assert all(getattr(entry, name) != default for name, default in defaults.items())


def test_what_is_saved_is_there_in_another_process_too(path: Path, ledger: SqliteLedger) -> None:
    ledger.save_campaign(replace(CAMPAIGN, state=CampaignState.OPEN, ended_at=None))
    ledger.save_campaign(CAMPAIGN)
    ledger.add_jobs([JOB, a_job(0)])
    ledger.save_run(RUN)
    ledger.save_run(a_run("0-a"))
    ledger.save_worker(WORKER)
    ledger.save_warnings([WARNED])
    with closing(SqliteLedger.open_existing(path)) as reader:
        for one in (ledger, reader):
            assert one.campaign() == CAMPAIGN
            assert one.job(7) == JOB
            assert one.job(0) == a_job(0)
            assert one.run("7-abcdef") == RUN
            assert one.run("0-a") == a_run("0-a")
            assert one.worker("w1") == WORKER
            assert one.workers() == (WORKER,)
            assert one.warnings() == (WARNED,)


def test_it_is_the_port(ledger: SqliteLedger) -> None:
    port: Ledger = ledger  # for mypy
    assert port.campaign() is None
    assert port.job(1) is None
    assert port.run("x") is None
    assert port.worker("\ud800") is None
    assert not any((port.runs(), port.workers(), port.warnings(), port.pairs()))
    assert not [*port.jobs(), *port.queued(settled=True)]
    assert dict(port.counts()) == dict.fromkeys(JobState, 0)


def test_jobs_that_are_there_stay_as_they_are(ledger: SqliteLedger) -> None:
    ledger.add_jobs([a_job(0, attempts=2)])
    ledger.add_jobs(a_job(number) for number in range(3))
    assert [entry.attempts for entry in ledger.jobs()] == [2, 0, 0]
    assert ledger.counts()[JobState.WAITING] == 3


def test_a_job_of_another_ledger_is_refused(ledger: SqliteLedger) -> None:
    with pytest.raises(LedgerError, match="no job 5"):
        ledger.save_job(a_job(5))


STATES = [*JobState] * 300


@pytest.mark.parametrize(
    ("states", "limit"),
    [
        pytest.param((), None, id="all"),
        pytest.param((), 700, id="first 700"),
        pytest.param((), 0, id="none"),
        pytest.param((JobState.DEAD,), None, id="one state"),
        pytest.param((JobState.WAITING, JobState.QUEUED, JobState.RUNNING, JobState.DONE), None, id="most"),
        pytest.param((JobState.WAITING, JobState.DONE, JobState.WAITING), 5, id="one twice, limited"),
        pytest.param((JobState.WAITING, JobState.DONE), 555, id="over a page"),
    ],
)
def test_jobs_by_state(ledger: SqliteLedger, states: tuple[JobState, ...], limit: int | None) -> None:
    ledger.add_jobs(a_job(number, state=state) for number, state in enumerate(STATES))
    expected = [number for number, state in enumerate(STATES) if not states or state in states]
    assert numbers(ledger.jobs(*states, limit=limit)) == expected[:limit]


@pytest.mark.parametrize("settled", [True, False], ids=["settled", "not settled"])
@pytest.mark.parametrize("limit", [None, 3], ids=["all", "three"])
def test_jobs_with_a_message(ledger: SqliteLedger, settled: bool, limit: int | None) -> None:
    ledger.add_jobs(a_job(n, state=state, queue_id=n if n % 4 else None) for n, state in enumerate(STATES))
    expected = [n for n, state in enumerate(STATES) if n % 4 and state.settled == settled]
    assert numbers(ledger.queued(settled=settled, limit=limit)) == expected[:limit]
    assert settled or ledger.unsettled() == len(expected)
    for number in expected[1:4]:
        entry = ledger.job(number)
        assert entry
        ledger.save_job(replace(entry, reason=Reason.LOST))
    assert numbers(ledger.queued(settled=settled, reason=Reason.LOST, limit=limit)) == expected[1:4]


def test_saving_does_not_disturb_what_is_read(ledger: SqliteLedger) -> None:
    ledger.add_jobs(a_job(number) for number in range(1700))
    met = []
    with ledger.transaction():
        for entry in ledger.jobs(JobState.WAITING):
            met.append(entry.number)
            ledger.save_job(replace(entry, state=JobState.QUEUED, queue_id=entry.number))
    assert met == list(range(1700))
    for entry in ledger.queued(settled=False):
        ledger.save_job(replace(entry, state=JobState.WAITING, queue_id=None))
    assert ledger.counts()[JobState.WAITING] == 1700


def test_runs_by_state_job_and_worker_in_the_order_they_came(ledger: SqliteLedger) -> None:
    runs = [
        a_run("9-z", 9),
        a_run("1-a", 1, worker="w2"),
        a_run("1-b", 1, state=RunState.LOST),
        a_run("2-a", 2, state=RunState.KEPT),
    ]
    for run in runs:
        ledger.save_run(run)
    ledger.save_run(runs[0])  # what is replaced keeps its place
    assert ledger.runs() == tuple(runs)
    assert ledger.runs(RunState.RUNNING, RunState.KEPT) == (runs[0], runs[1], runs[3])
    assert ledger.runs(number=1) == (runs[1], runs[2])
    assert ledger.runs(worker="w1") == (runs[0], runs[2], runs[3])
    assert ledger.runs(RunState.RUNNING, number=1, worker="w2") == (runs[1],)
    assert ledger.runs(RunState.RUNNING, number=1, worker="w1") == ()


def test_runs_that_are_due(ledger: SqliteLedger) -> None:
    for number, at in enumerate((5.0, 20.0, 0.0, 10.0)):
        ledger.save_run(a_run(f"{number}-a", number, state=RunState.REPORTED, fetch_at=at))
    ledger.save_run(a_run("9-a", 9, state=RunState.KEPT))
    assert [run.number for run in ledger.due(10.0, beyond=100.0, limit=10)] == [2, 0, 3]
    assert [run.number for run in ledger.due(10.0, beyond=9.0, limit=10)] == [2, 0, 3, 1]


def test_workers_are_by_name_and_warnings_by_age(ledger: SqliteLedger) -> None:
    for worker, name in (("1", "b"), ("2", "a"), ("0", "b")):
        ledger.save_worker(replace(WORKER, worker=worker, heartbeat=replace(BEAT, name=name)))
    assert [entry.worker for entry in ledger.workers()] == ["2", "0", "1"]
    ledger.save_warnings([WARNED])
    ledger.save_warnings([Warned(key=key, text="", at=at) for key, at in (("new", 3.0), ("old", 1.0), ("same", 1.0))])
    assert [warned.key for warned in ledger.warnings()] == ["old", "same", "new"]


def test_what_is_counted_is_what_is_there(ledger: SqliteLedger) -> None:
    ledger.add_jobs(a_job(number, state=state) for number, state in enumerate(STATES[:60]))
    for number in range(40):
        ledger.save_run(a_run(f"{number}-a", number, reached=("A", f"B{number}"), triggered=("A",)))
    for number in range(0, 40, 2):
        ledger.save_run(a_run(f"{number}-a", number, reached=(f"B{number % 7}",), state=RunState.KEPT))
        ledger.save_job(a_job(number, state=JobState.DONE))
    for number in range(0, 40, 8):  # kept with more bugs, and not kept any more
        ledger.save_run(a_run(f"{number}-a", number, triggered=(f"T{number}",), state=RunState.KEPT))
        ledger.save_run(a_run(f"{number + 2}-a", number + 2, reached=("B2",), state=RunState.DROPPED))
    expected = pairs_of(ledger.jobs(), ledger.runs())
    found = ledger.pairs()
    assert [(pair.fuzzer, pair.target, pair.bugs) for pair in found] == [
        (pair.fuzzer, pair.target, pair.bugs) for pair in expected
    ]
    for pair, other in zip(found, expected, strict=True):
        assert {state: count for state, count in pair.counts.items() if count} == dict(other.counts)
    assert any(pair.bugs != Bugs() for pair in found)
    assert ledger.counts() == {state: len(numbers(ledger.jobs(state))) for state in JobState}


def test_a_transaction_that_fails_saves_nothing(path: Path, ledger: SqliteLedger) -> None:
    ledger.add_jobs([a_job(0)])

    def spoilt() -> Iterator[JobEntry]:
        yield a_job(1)
        raise KeyError

    def half() -> None:
        with ledger.transaction():
            ledger.save_job(a_job(0, state=JobState.DEAD))
            ledger.save_warnings([WARNED])
            raise KeyError

    with pytest.raises(KeyError):
        half()
    with pytest.raises(KeyError):
        ledger.add_jobs(spoilt())
    with closing(SqliteLedger.open_existing(path)) as reader:
        assert list(reader.jobs()) == [a_job(0)]
        assert reader.warnings() == ()
        assert reader.counts()[JobState.DEAD] == 0
    ledger.save_job(a_job(0, attempts=1))  # and it goes on


def test_transactions_are_not_nested(ledger: SqliteLedger) -> None:
    with pytest.raises(RuntimeError, match="nested"), ledger.transaction(), ledger.transaction():
        pass
    with ledger.transaction():
        ledger.save_warnings([WARNED])
    assert ledger.warnings() == (WARNED,)


def test_speed_at_20_000_jobs(ledger: SqliteLedger) -> None:
    def seconds(action: Any) -> float:
        start = time.perf_counter()
        action()
        return time.perf_counter() - start

    def move() -> None:
        with ledger.transaction():
            for entry in ledger.jobs(JobState.WAITING, limit=2000):
                ledger.save_job(replace(entry, state=JobState.QUEUED, queue_id=1))

    assert seconds(lambda: ledger.add_jobs(a_job(number) for number in range(20_000))) < 4
    assert seconds(move) < 1
    for cheap in (ledger.counts, ledger.pairs, lambda: list(ledger.jobs(JobState.DEAD)), lambda: ledger.job(5)):
        assert min(seconds(cheap) for _ in range(3)) < 0.01
