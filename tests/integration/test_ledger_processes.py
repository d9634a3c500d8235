"""Several processes with one ledger, one of them killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters import sqlite_file
from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.adapters.sqlite_copy import read_ledger
from magma_remote.errors import LedgerAwayError, LedgerError
from magma_remote.model.entries import (
    JobState,
)
from magma_remote.runtime.dispatcher.standing import read_standing
from tests.support.ledger.entries import CAMPAIGN, JOB, RUN, WARNED, WORKER, a_job, a_run
from tests.support.places import ROOT
from tests.support.workdirs.result import contents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


SECONDS = 30.0  # what goes well takes milliseconds


@contextmanager
def child(path: Path, what: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.ledger.writer", str(path), what],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(SECONDS)
        if process.stdout:
            process.stdout.close()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_a_writer_killed_within_a_transaction_has_saved_nothing(path: Path) -> None:
    with closing(SqliteLedger(path)) as ledger:
        ledger.add_jobs(a_job(number) for number in range(3000))
    with child(path, "half") as process:
        assert said(process) == "half"
        process.kill()
        process.wait(SECONDS)
    with closing(SqliteLedger.open_existing(path)) as reader:  # reads what the killed one left in its log
        assert {entry.attempts for entry in reader.jobs()} == {0}
    with closing(SqliteLedger(path)) as ledger:
        assert sum(ledger.counts().values()) == 3000
        ledger.save_job(a_job(0, attempts=1))


@pytest.mark.parametrize("after", [1, 20, 60], ids=str)
def test_what_a_killed_writer_told_is_there(path: Path, after: int) -> None:
    with closing(SqliteLedger(path)) as ledger:
        ledger.add_jobs([a_job(0), a_job(1)])
    with child(path, "lines") as process:
        told = [int(said(process)) for _ in range(after)][-1]
        process.kill()
        process.wait(SECONDS)
        rest = process.stdout.read().split() if process.stdout else []
    told = max([told, *(int(word) for word in rest)])
    with closing(SqliteLedger(path)) as ledger:
        first, second = (entry.attempts for entry in ledger.jobs())
    assert first == second
    assert told <= first <= told + 1


def test_two_processes_write_and_none_overwrites_the_other(path: Path) -> None:
    with closing(SqliteLedger(path)) as ledger:
        ledger.add_jobs([a_job(0)])
        with child(path, "count") as one, child(path, "count") as other:
            assert (said(one), said(other)) == ("counted", "counted")
        found = ledger.job(0)
        assert found
        assert found.attempts == 400


def test_a_reader_holds_nobody_off_and_sees_one_moment(path: Path, ledger: SqliteLedger) -> None:
    ledger.add_jobs([a_job(0)])
    with closing(SqliteLedger.open_existing(path)) as reader:
        with reader.transaction():
            assert reader.counts()[JobState.WAITING] == 1
            ledger.save_job(a_job(0, state=JobState.DONE))
            assert reader.counts()[JobState.WAITING] == 1
            assert reader.job(0) == a_job(0)
        with ledger.transaction():
            ledger.save_job(a_job(0, state=JobState.DEAD))
            assert reader.counts()[JobState.DONE] == 1
        assert reader.counts()[JobState.DEAD] == 1
        with pytest.raises(LedgerError, match="may only be read"):
            reader.save_job(a_job(0))


def test_a_second_writer_beside_it(path: Path, ledger: SqliteLedger) -> None:
    ledger.add_jobs([a_job(0)])
    with closing(SqliteLedger.open_existing(path, read_only=False)) as other:
        other.save_job(a_job(0, state=JobState.DEAD))
        assert ledger.counts()[JobState.DEAD] == 1


def test_one_who_writes_for_too_long_is_told_of(
    path: Path, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "PATIENCE", 0.05)
    told = pytest.raises(LedgerAwayError, match=r"ledger\.sqlite: .*another process has been writing")
    with closing(SqliteLedger(path)) as other, ledger.transaction(), told:
        other.save_warnings([])


def test_a_writer_waits_for_another(path: Path, ledger: SqliteLedger) -> None:
    ledger.add_jobs([a_job(0)])
    started, saved = threading.Event(), threading.Event()

    def write() -> None:
        with closing(SqliteLedger(path)) as other:
            started.set()
            other.save_job(a_job(0, attempts=1))
            saved.set()

    thread = threading.Thread(target=write)
    with ledger.transaction():
        ledger.save_job(a_job(0, attempts=7))
        thread.start()
        assert started.wait(SECONDS)
        assert not saved.wait(0.1)
    thread.join(SECONDS)
    assert ledger.job(0) == a_job(0, attempts=1)


def test_a_standing_is_read_beside_the_writer(path: Path, ledger: SqliteLedger) -> None:
    with closing(SqliteLedger.open_existing(path)) as reader:
        with pytest.raises(LedgerError, match="no campaign yet"):
            read_standing(reader, 1.0)
        ledger.save_campaign(CAMPAIGN)
        ledger.add_jobs([JOB, a_job(0), a_job(1, state=JobState.RUNNING)])
        ledger.save_run(a_run("1-a", 1, phase="fuzzing"))
        ledger.save_run(RUN)
        ledger.save_worker(WORKER)
        ledger.save_warnings([WARNED])
        with ledger.transaction():
            found = read_standing(reader, 20.0)
    assert found.campaign == CAMPAIGN
    assert found.total == 3
    assert found.dead == (JOB,)
    assert found.warnings == (WARNED,)
    assert [run.run for run in found.running] == ["1-a"]
    assert found.unfetched == 1
    assert [worker.heard_ago for worker in found.workers] == [7.0]


def test_a_ledger_that_is_written_to_is_read_whole(path: Path) -> None:
    with closing(SqliteLedger(path)) as ledger:
        ledger.add_jobs([a_job(0), a_job(1)])
    with child(path, "lines") as process:
        seen = 0
        for _ in range(20):
            last = int(said(process))
            with read_ledger(path) as ledger, ledger.transaction():
                first, second = ledger.jobs()
            assert first.attempts == second.attempts >= max(seen, last)
            seen = first.attempts


@pytest.mark.parametrize("command", ["half", "lines"])
def test_a_ledger_whose_writer_was_killed_is_read_without_a_trace(path: Path, command: str) -> None:
    with closing(SqliteLedger(path)) as ledger:
        ledger.add_jobs([a_job(0), a_job(1)])
    with child(path, command) as process:
        said(process)
        process.kill()
        process.wait(SECONDS)
    time.sleep(0.1)
    before = contents(path.parent)
    with read_ledger(path) as ledger:
        first, second = ledger.jobs()
    assert first.attempts == second.attempts
    assert (first.attempts > 0) == (command == "lines")
    assert contents(path.parent) == before


def test_a_ledger_is_read_without_a_trace(path: Path) -> None:
    with closing(SqliteLedger(path)) as ledger:
        ledger.add_jobs([a_job(0)])
    before = contents(path.parent)
    with read_ledger(path) as ledger:
        assert ledger.job(0)
    assert contents(path.parent) == before
    path.write_bytes(b"no ledger " * 1000)
    with pytest.raises(LedgerError, match=rf"^{path}: .*no ledger, or damaged"), read_ledger(path):
        pass
