"""A ledger's file: opened, made, checked; SQLite's errors told as ours."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from magma_remote.errors import LedgerAwayError, LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Any

VERSION = 3
PATIENCE = 30.0
"""Seconds for which another process's transaction is waited out."""

_SCHEMA = """
CREATE TABLE campaign (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    config_id TEXT NOT NULL, source TEXT NOT NULL, text TEXT NOT NULL, tree TEXT NOT NULL, since REAL NOT NULL,
    timeout REAL NOT NULL, max_attempts INTEGER NOT NULL, state TEXT NOT NULL, ended_at REAL,
    terms TEXT NOT NULL, editions TEXT NOT NULL
);
CREATE TABLE pins (
    id INTEGER PRIMARY KEY, fuzzer TEXT NOT NULL, target TEXT NOT NULL, manifest TEXT NOT NULL, recipe TEXT NOT NULL,
    uid INTEGER NOT NULL, gid INTEGER NOT NULL, UNIQUE (fuzzer, target)
);
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY,
    repeat INTEGER NOT NULL, fuzzer TEXT NOT NULL, target TEXT NOT NULL, program TEXT NOT NULL, args TEXT NOT NULL,
    fuzzargs TEXT NOT NULL,
    state TEXT NOT NULL, settled INTEGER NOT NULL, attempts INTEGER NOT NULL, queue_id INTEGER, avoid TEXT NOT NULL,
    reason TEXT, message TEXT NOT NULL, run TEXT
);
CREATE INDEX jobs_by_state ON jobs (state, number);
CREATE INDEX jobs_queued ON jobs (settled, number) WHERE queue_id IS NOT NULL;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL UNIQUE, number INTEGER NOT NULL, attempt INTEGER NOT NULL, worker TEXT NOT NULL,
    state TEXT NOT NULL, started_at REAL, phase TEXT NOT NULL, phase_since REAL, cpus TEXT NOT NULL, ended_at REAL,
    reason TEXT, message TEXT NOT NULL, tail TEXT NOT NULL, log TEXT NOT NULL, place TEXT, manifest TEXT NOT NULL,
    fetches INTEGER NOT NULL, fetch_at REAL NOT NULL, reached TEXT NOT NULL, triggered TEXT NOT NULL
);
CREATE INDEX runs_by_number ON runs (number);
CREATE INDEX runs_by_state ON runs (state, fetch_at);
CREATE INDEX runs_by_worker ON runs (worker, state);
CREATE TABLE workers (
    worker TEXT PRIMARY KEY, name TEXT NOT NULL, heartbeat TEXT NOT NULL, heard_at REAL NOT NULL, lost INTEGER NOT NULL
);
CREATE TABLE warnings (id INTEGER PRIMARY KEY, key TEXT NOT NULL, text TEXT NOT NULL, at REAL NOT NULL);

-- What is counted all the time, of however many jobs
CREATE TABLE tally (
    fuzzer TEXT NOT NULL, target TEXT NOT NULL, state TEXT NOT NULL, jobs INTEGER NOT NULL,
    PRIMARY KEY (fuzzer, target, state)
) WITHOUT ROWID;
CREATE TRIGGER job_added AFTER INSERT ON jobs BEGIN
    INSERT INTO tally VALUES (NEW.fuzzer, NEW.target, NEW.state, 1)
    ON CONFLICT (fuzzer, target, state) DO UPDATE SET jobs = jobs + 1;
END;
CREATE TRIGGER job_moved AFTER UPDATE OF state ON jobs WHEN OLD.state <> NEW.state BEGIN
    UPDATE tally SET jobs = jobs - 1 WHERE fuzzer = OLD.fuzzer AND target = OLD.target AND state = OLD.state;
    INSERT INTO tally VALUES (NEW.fuzzer, NEW.target, NEW.state, 1)
    ON CONFLICT (fuzzer, target, state) DO UPDATE SET jobs = jobs + 1;
END;
CREATE TABLE bugs (
    fuzzer TEXT NOT NULL, target TEXT NOT NULL, reached TEXT NOT NULL, triggered TEXT NOT NULL, runs INTEGER NOT NULL,
    PRIMARY KEY (fuzzer, target, reached, triggered)
) WITHOUT ROWID;
CREATE TRIGGER run_added AFTER INSERT ON runs WHEN NEW.state = 'kept' BEGIN
    INSERT INTO bugs SELECT fuzzer, target, NEW.reached, NEW.triggered, 1 FROM jobs WHERE number = NEW.number
    ON CONFLICT (fuzzer, target, reached, triggered) DO UPDATE SET runs = runs + 1;
END;
CREATE TRIGGER run_unkept AFTER UPDATE ON runs WHEN OLD.state = 'kept' BEGIN
    UPDATE bugs SET runs = runs - 1 WHERE reached = OLD.reached AND triggered = OLD.triggered
    AND (fuzzer, target) = (SELECT fuzzer, target FROM jobs WHERE number = OLD.number);
END;
CREATE TRIGGER run_kept AFTER UPDATE ON runs WHEN NEW.state = 'kept' BEGIN
    INSERT INTO bugs SELECT fuzzer, target, NEW.reached, NEW.triggered, 1 FROM jobs WHERE number = NEW.number
    ON CONFLICT (fuzzer, target, reached, triggered) DO UPDATE SET runs = runs + 1;
END;
"""

_ADVICE = {
    sqlite3.SQLITE_NOTADB: "it is no ledger, or damaged: move it away, or bring back a copy",
    sqlite3.SQLITE_CORRUPT: "it is damaged: bring back a copy",
    sqlite3.SQLITE_FULL: "the disk is full: make room and start again, nothing that was saved before is lost",
    sqlite3.SQLITE_IOERR: "its disk fails or is full: look at the system's log, make room, and start again",
    sqlite3.SQLITE_BUSY: f"another process has been writing for {PATIENCE:g} s: look what it does, and try again",
    sqlite3.SQLITE_LOCKED: "another connection of this process is writing to it: try again",
    sqlite3.SQLITE_READONLY: "it may only be read: see who owns it and its folder, and run as that user",
    sqlite3.SQLITE_PERM: "it is not yours: see who owns it and its folder, and run as that user",
    sqlite3.SQLITE_CANTOPEN: "see that its folder is there, and that you may write in it and to the file",
}

_AWAY = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class LedgerFile:
    """A connection of one thread. Each statement is a transaction, but for those in a `transaction`."""

    def __init__(self, path: Path, mode: str) -> None:
        """Open with SQLite's `mode`: rwc makes a ledger where there is none, rw and ro are refused with LedgerError."""
        self._path = path
        self._mode = mode
        self._in_block = False
        self._errors = _Errors(path)
        self._check_place()
        with self._errors:
            # isolation_level None: no transaction but those that we begin
            uri = f"{path.absolute().as_uri()}?mode={mode}"
            self._connection = sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close it; nothing where it is closed."""
        with self._errors:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. One that only reads holds nobody off, and sees one moment throughout."""
        if self._connection.in_transaction:
            raise RuntimeError("transactions of a ledger are not nested")
        self.execute("BEGIN" if self._mode == "ro" else "BEGIN IMMEDIATE")
        self._in_block = True
        try:
            yield
            self.execute("COMMIT")
        finally:
            self._in_block = False
            if self._connection.in_transaction:  # SQLite has ended it itself after some errors
                self.execute("ROLLBACK")

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Within the transaction that there is, or in one of its own."""
        if self._in_block:
            yield
        else:
            with self.transaction():
                yield

    def execute(self, statement: str, values: Iterable[Any] = ()) -> int:
        """Do it; how many rows it changed."""
        self._check_block()
        with self._errors:
            return self._connection.execute(statement, tuple(values)).rowcount

    def execute_many(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Do it for each row; within a transaction."""
        self._check_block()
        with self._errors:
            self._connection.executemany(statement, rows)

    def rows(self, statement: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """All that it finds."""
        self._check_block()
        with self._errors:
            return self._connection.execute(statement, tuple(values)).fetchall()

    def damaged(self, error: Exception) -> LedgerError:
        """What to raise for a row that cannot be understood."""
        return LedgerError(f"{self._path}: the ledger is damaged ({error}): bring back a copy")

    def _check_block(self) -> None:
        if self._in_block and not self._connection.in_transaction:
            raise LedgerError(f"{self._path}: the transaction has ended with an earlier error; start again")

    def _check_place(self) -> None:
        if os.path.exists(self._path) and not os.path.isfile(self._path):  # noqa: PTH110, PTH113 - Path's may raise
            raise LedgerError(f"{self._path}: what stands there is no file, and no ledger; name the right WORKDIR")
        if self._mode != "rwc" and not os.path.lexists(self._path):
            raise LedgerError(f"{self._path}: no ledger is there; name the WORKDIR of a campaign that was dispatched")

    def _prepare(self) -> None:
        """Check the version, before anything is written to what may be another's file; make a new ledger."""
        new = self._mode == "rwc" and self._is_empty()
        if not new:
            self._check_version()
        if self._mode != "ro":
            self.execute("PRAGMA journal_mode = WAL")
            # A worker deletes what the ledger says it has: NORMAL would let a power cut take back what was told.
            self.execute("PRAGMA synchronous = FULL")
        if new:
            self._create()

    def _create(self) -> None:
        with self.transaction():
            if self._is_empty():  # else another process was faster
                for statement in _statements(_SCHEMA):
                    self.execute(statement)
                self.execute(f"PRAGMA user_version = {VERSION}")
        self._check_version()

    def _is_empty(self) -> bool:
        return not self._version() and not self.rows("SELECT 1 FROM sqlite_master LIMIT 1")

    def _version(self) -> int:
        return int(self.rows("PRAGMA user_version")[0][0])

    def _check_version(self) -> None:
        version = self._version()
        if version == 0:
            raise LedgerError(f"{self._path}: no ledger is in this file; move it away, or name the right WORKDIR")
        if version != VERSION:
            raise LedgerError(
                f"{self._path}: the ledger is of version {version}, this magma-remote knows {VERSION}: "
                "go on with the release that wrote it, or begin anew in another WORKDIR"
            )


class _Errors:
    """Blocks in which SQLite's errors are told as ours."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, sqlite3.Error):
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest tells more than people can use
            advice = _ADVICE.get(code, "it is damaged, or of another program: bring back a copy")
            found = LedgerAwayError if code in _AWAY else LedgerError
            raise found(f"{self._path}: the ledger cannot be used ({error}): {advice}") from error
        if isinstance(error, OverflowError):
            raise LedgerError(f"{self._path}: a number is too large for the ledger: {error}") from error


def _statements(script: str) -> Iterator[str]:
    """One at a time: `executescript` would end the transaction."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
