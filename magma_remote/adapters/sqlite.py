"""The dispatcher's memory as an SQLite file, which other processes read and write at the same time."""

# ruff: noqa: S608 - statements are put together of names of ours alone, all values are bound

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from magma_remote.adapters import sqlite_rows as rows
from magma_remote.adapters.sqlite_file import LedgerFile
from magma_remote.errors import LedgerError, WireError
from magma_remote.model.entries import JobState, RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Any

    from magma_remote.model.entries import CampaignEntry, JobEntry, PinEntry, RunEntry, Warned, WorkerEntry
    from magma_remote.model.outcome import Reason
    from magma_remote.model.standing import Pair

T = TypeVar("T")

_PAGE = 500  # jobs in memory at a time: there may be a million
_JOB = f"{rows.JOB_FIXED}, {rows.JOB_MOVING}"


def _marks(columns: str) -> str:
    return ", ".join("?" for _ in columns.split(","))


def _upsert(table: str, columns: str, key: str, fixed: str = "") -> str:
    # not INSERT OR REPLACE: a row keeps its place in the order in which they came
    stay = {key, *fixed.split(", ")}
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns.split(", ") if name not in stay)
    return f"INSERT INTO {table} ({columns}) VALUES ({_marks(columns)}) ON CONFLICT ({key}) DO UPDATE SET {changes}"


_ADD_JOB = f"INSERT INTO jobs ({_JOB}) VALUES ({_marks(_JOB)}) ON CONFLICT DO NOTHING"
_ADD_PIN = f"INSERT INTO pins ({rows.PIN}) VALUES ({_marks(rows.PIN)}) ON CONFLICT DO NOTHING"
_SAVE_JOB = f"UPDATE jobs SET ({rows.JOB_MOVING}) = ({_marks(rows.JOB_MOVING)}) WHERE number = ?"
_SAVE_CAMPAIGN = _upsert("campaign", f"id, {rows.CAMPAIGN}", "id")
_SAVE_RUN = _upsert("runs", rows.RUN, "run", fixed="number, attempt, worker")
_SAVE_WORKER = _upsert("workers", rows.WORKER, "worker")
_ADD_WARNED = f"INSERT INTO warnings ({rows.WARNED}) VALUES ({_marks(rows.WARNED)})"


class SqliteLedger:
    """`ports.Ledger` in a file, for the thread that opened it.

    What is saved is on the disk when the call, or its transaction, returns; each costs one wait for the disk.
    Jobs are read a few hundred at a time, each as it was when its part was read.
    """

    def __init__(self, path: Path, *, mode: str = "rwc") -> None:
        """Open a ledger, or make one in a folder that is there; `mode` as in LedgerFile."""
        self._file = LedgerFile(path, mode)

    @classmethod
    def open_existing(cls, path: Path, *, read_only: bool = True) -> SqliteLedger:
        """Open a ledger beside its dispatcher; LedgerError where there is none, and none is made.

        A transaction of one that is read only holds nobody off: all that is read within is of one moment.
        """
        return cls(path, mode="ro" if read_only else "rw")

    def transaction(self) -> AbstractContextManager[None]:
        """All that is saved within the block, or nothing; it holds off other writers. Not to be nested."""
        return self._file.transaction()

    def campaign(self) -> CampaignEntry | None:
        """The campaign, None in a new ledger."""
        return self._first(rows.campaign_entry, f"SELECT {rows.CAMPAIGN} FROM campaign")

    def save_campaign(self, entry: CampaignEntry) -> None:
        """Keep it."""
        self._file.execute(_SAVE_CAMPAIGN, (1, *rows.campaign_row(entry)))

    def pins(self) -> tuple[PinEntry, ...]:
        """The images that the campaign runs with, in the order in which they were saved first."""
        return self._all(rows.pin_entry, f"SELECT {rows.PIN} FROM pins ORDER BY id")

    def save_pins(self, entries: Iterable[PinEntry]) -> None:
        """Keep images; a pair that has one keeps it."""
        with self._file.atomic():
            self._file.execute_many(_ADD_PIN, map(rows.pin_row, entries))

    def add_jobs(self, entries: Iterable[JobEntry]) -> None:
        """Add jobs, all or none; those whose number the ledger has stay as they are."""
        with self._file.atomic():
            self._file.execute_many(_ADD_JOB, (rows.fixed_row(entry) + rows.moving_row(entry) for entry in entries))

    def job(self, number: int) -> JobEntry | None:
        """One job."""
        return self._first(rows.job_entry, f"SELECT {_JOB} FROM jobs WHERE number = ?", number)

    def jobs(self, *states: JobState, limit: int | None = None) -> Iterator[JobEntry]:
        """Jobs in these states (all without any) by their number; saving meanwhile does not disturb it."""
        if not states:
            return self._pages("SELECT number FROM jobs WHERE number > ? ORDER BY number LIMIT ?", [()], limit)
        by_state = "SELECT number FROM jobs WHERE state = ? AND number > ? ORDER BY number LIMIT ?"
        return self._pages(by_state, [(state.value,) for state in dict.fromkeys(states)], limit)

    def save_job(self, entry: JobEntry) -> None:
        """Replace a job's entry; what is to be run stays as it was. LedgerError where the ledger has no such job."""
        if not self._file.execute(_SAVE_JOB, (*rows.moving_row(entry), entry.number)):
            raise LedgerError(f"the ledger has no job {entry.number}: it was added to another ledger")

    def counts(self) -> Mapping[JobState, int]:
        """How many jobs are in each state, 0 included; cheap."""
        found = dict(self._file.rows("SELECT state, SUM(jobs) FROM tally GROUP BY state"))
        return {state: found.get(state.value, 0) for state in JobState}

    def pairs(self) -> tuple[Pair, ...]:
        """Jobs' states and the bugs of KEPT runs for each fuzzer and target, by their names; cheap."""
        tally = self._file.rows("SELECT fuzzer, target, state, jobs FROM tally ORDER BY fuzzer, target")
        bugs = self._file.rows("SELECT fuzzer, target, reached, triggered FROM bugs WHERE runs > 0")
        return self._read(lambda _: rows.pairs(tally, bugs), ())

    def queued(
        self, *, settled: bool, reason: Reason | None = None, avoiding: bool = False, limit: int | None = None
    ) -> Iterator[JobEntry]:
        """Jobs that have a `queue_id`, by number: those that are settled, or those that are not."""
        tests = "queue_id IS NOT NULL AND settled = ?"
        first: tuple[Any, ...] = (settled,)
        if reason:
            tests, first = f"{tests} AND reason = ?", (settled, reason.value)
        if avoiding:
            tests, first = f"{tests} AND avoid <> ?", (*first, "[]")
        return self._pages(
            f"SELECT number FROM jobs WHERE {tests} AND number > ? ORDER BY number LIMIT ?", [first], limit
        )

    def unsettled(self) -> int:
        """How many jobs have a `queue_id` and are not settled."""
        statement = "SELECT COUNT(*) FROM jobs WHERE queue_id IS NOT NULL AND settled = ?"
        return int(self._file.rows(statement, (False,))[0][0])

    def run(self, run: str) -> RunEntry | None:
        """One run."""
        return self._first(rows.run_entry, f"SELECT {rows.RUN} FROM runs WHERE run = ?", rows.text(run))

    def runs(self, *states: RunState, number: int | None = None, worker: str | None = None) -> tuple[RunEntry, ...]:
        """Runs in these states (all without any), of one job or one worker where given, in the order they came."""
        tests: dict[str, list[Any]] = {}
        if states:
            tests[f"state IN ({', '.join('?' * len(states))})"] = [state.value for state in states]
        if number is not None:
            tests["number = ?"] = [number]
        if worker is not None:
            tests["worker = ?"] = [rows.text(worker)]
        where = f"WHERE {' AND '.join(tests)}" if tests else ""
        statement = f"SELECT {rows.RUN} FROM runs {where} ORDER BY id"
        return self._all(rows.run_entry, statement, *(value for values in tests.values() for value in values))

    def due(self, now: float, *, beyond: float, limit: int) -> tuple[RunEntry, ...]:
        """REPORTED runs whose `fetch_at` has come, or is more than `beyond` seconds ahead, the longest due first."""
        tests = "state = ? AND (fetch_at <= ? OR fetch_at > ?)"
        statement = f"SELECT {rows.RUN} FROM runs WHERE {tests} ORDER BY fetch_at, id LIMIT ?"
        return self._all(rows.run_entry, statement, RunState.REPORTED.value, now, now + beyond, limit)

    def save_run(self, entry: RunEntry) -> None:
        """Add or replace a run's entry."""
        self._file.execute(_SAVE_RUN, rows.run_row(entry))

    def worker(self, worker: str) -> WorkerEntry | None:
        """One worker."""
        statement = f"SELECT {rows.WORKER} FROM workers WHERE worker = ?"
        return self._first(rows.worker_entry, statement, rows.text(worker))

    def workers(self) -> tuple[WorkerEntry, ...]:
        """All workers that were ever heard, by their names."""
        return self._all(rows.worker_entry, f"SELECT {rows.WORKER} FROM workers ORDER BY name, worker")

    def save_worker(self, entry: WorkerEntry) -> None:
        """Add or replace a worker's entry."""
        self._file.execute(_SAVE_WORKER, rows.worker_row(entry))

    def warnings(self) -> tuple[Warned, ...]:
        """What needs a person now, oldest first."""
        return self._all(rows.warned_entry, f"SELECT {rows.WARNED} FROM warnings ORDER BY at, id")

    def save_warnings(self, warnings: Sequence[Warned]) -> None:
        """Replace all of them."""
        with self._file.atomic():
            self._file.execute("DELETE FROM warnings")
            self._file.execute_many(_ADD_WARNED, (rows.warned_row(entry) for entry in warnings))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _pages(self, part: str, firsts: list[tuple[Any, ...]], limit: int | None) -> Iterator[JobEntry]:
        """Jobs whose numbers `part` finds with any of `firsts`, a page at a time, each from its index alone."""
        numbers = " UNION ALL ".join(f"SELECT number FROM ({part})" for _ in firsts)
        statement = f"SELECT {_JOB} FROM jobs WHERE number IN ({numbers}) ORDER BY number LIMIT ?"
        last, left = -1, limit
        while left is None or left > 0:
            size = _PAGE if left is None else min(left, _PAGE)
            values = [value for first in firsts for value in (*first, last, size)]
            page = self._all(rows.job_entry, statement, *values, size)
            yield from page
            if len(page) < size:
                return
            last, left = page[-1].number, None if left is None else left - size

    def _first(self, make: Callable[[rows.Row], T], statement: str, *values: object) -> T | None:
        return next(iter(self._all(make, statement, *values)), None)

    def _all(self, make: Callable[[rows.Row], T], statement: str, *values: object) -> tuple[T, ...]:
        found = self._file.rows(statement, values)
        return self._read(lambda every: tuple(make(row) for row in every), found)

    def _read(self, make: Callable[[Sequence[rows.Row]], T], found: Sequence[rows.Row]) -> T:
        try:
            return make(found)
        except (WireError, ValueError, TypeError) as error:
            raise self._file.damaged(error) from error
