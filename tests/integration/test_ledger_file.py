"""Files that are no ledger, and disks that fail: told, and nothing half done."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.errors import LedgerError
from magma_remote.model.entries import (
    JobState,
)
from tests.support.ledger.entries import a_job

if TYPE_CHECKING:
    from pathlib import Path


def spoil_version(path: Path) -> None:
    with closing(SqliteLedger(path)):
        pass
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA user_version = 4")


def anothers(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE theirs (x)")


def lost_tables(path: Path) -> None:
    with closing(SqliteLedger(path)):
        pass
    with closing(sqlite3.connect(path)) as file:
        file.executescript("DROP TABLE tally; DROP TABLE jobs")


SPOILT = [
    pytest.param(lambda path: path.write_bytes(b"no ledger " * 1000), "no ledger, or damaged: move", id="garbage"),
    pytest.param(lambda path: path.mkdir(), "is no file", id="a folder"),
    pytest.param(os.mkfifo, "is no file", id="a pipe"),
    pytest.param(spoil_version, "version 4, this magma-remote knows 3: go on with the release", id="newer"),
    pytest.param(anothers, "no ledger is in this file; move it away", id="another program's"),
    pytest.param(lost_tables, "no such table.*damaged", id="tables gone"),
]


@pytest.mark.parametrize(("spoil", "says"), SPOILT)
@pytest.mark.parametrize("mode", ["rwc", "rw", "ro"])
def test_what_is_no_ledger_is_told_and_left_as_it_is(path: Path, spoil: Any, says: str, mode: str) -> None:
    spoil(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(LedgerError, match=rf"(?s){path}: .*{says}"), closing(SqliteLedger(path, mode=mode)) as ledger:
        ledger.counts()
    assert (path.read_bytes() if path.is_file() else b"") == before


@pytest.mark.parametrize("read_only", [True, False], ids=["to read", "to write"])
def test_where_there_is_none_none_is_made(path: Path, read_only: bool) -> None:
    with pytest.raises(LedgerError, match=f"{path}: no ledger is there; name the WORKDIR"):
        SqliteLedger.open_existing(path, read_only=read_only)
    assert not list(path.parent.iterdir())
    path.touch()
    with pytest.raises(LedgerError, match="no ledger is in this file"):
        SqliteLedger.open_existing(path, read_only=read_only)
    assert path.stat().st_size == 0


def test_a_folder_that_is_not_there(path: Path) -> None:
    with pytest.raises(LedgerError, match="see that its folder is there"):
        SqliteLedger(path.parent / "none" / path.name)


def test_a_damaged_page(path: Path) -> None:
    with closing(SqliteLedger(path)) as ledger:
        ledger.add_jobs(a_job(number) for number in range(2000))
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(LedgerError, match=r"damaged: bring back a copy"), closing(SqliteLedger(path)) as ledger:
        list(ledger.jobs())


@pytest.mark.parametrize(
    "change",
    ["state = 'gone'", "avoid = '[1'", "reason = 'none'", "message = ''", "avoid = 1"],
)
def test_a_row_that_makes_no_entry(path: Path, ledger: SqliteLedger, change: str) -> None:
    ledger.add_jobs([a_job(0)])
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(f"UPDATE jobs SET {change}")
    with pytest.raises(LedgerError, match=f"{path}: the ledger is damaged"):
        ledger.job(0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(path: Path) -> None:
    path.parent.chmod(0o500)
    try:
        with pytest.raises(LedgerError, match="write in it"):
            SqliteLedger(path)
    finally:
        path.parent.chmod(0o700)


def test_a_full_disk(path: Path, ledger: SqliteLedger) -> None:
    ledger.add_jobs([a_job(0)])
    pages = ledger._file.rows("PRAGMA page_count")[0][0]
    ledger._file.execute(f"PRAGMA max_page_count = {pages + 2}")

    def fill() -> None:
        with ledger.transaction():
            ledger.save_job(a_job(0, state=JobState.DEAD))
            ledger.add_jobs(a_job(number) for number in range(1, 5000))

    with pytest.raises(LedgerError, match=f"{path}: .*disk is full: make room"):
        fill()
    assert list(ledger.jobs()) == [a_job(0)]
    ledger._file.execute("PRAGMA max_page_count = 100000")
    ledger.add_jobs(a_job(number) for number in range(1, 5000))
    assert ledger.counts()[JobState.WAITING] == 5000


def test_who_goes_on_in_a_transaction_that_ended_is_refused(ledger: SqliteLedger) -> None:
    def go_on() -> None:
        with ledger.transaction():
            ledger._file._connection.execute("ROLLBACK")  # as SQLite does itself after some errors
            ledger.add_jobs([a_job(0)])

    with pytest.raises(LedgerError, match="ended with an earlier error"):
        go_on()
    assert not list(ledger.jobs())


def test_a_number_too_large(ledger: SqliteLedger) -> None:
    with pytest.raises(LedgerError, match="too large"):
        ledger.job(2**64)
