"""A ledger read without a trace, wherever it is: SQLite makes files beside one in WAL mode, even only to read it."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator

_WAITS = (0.0, 0.1, 0.3)
"""Seconds before each try to copy what nobody writes to: a dispatcher rests between what it saves."""

_JUST_NOW = 0.05
"""Seconds; file systems tell times no finer than a clock's tick, so that a write just now may have the same one."""

_State = tuple[tuple[int, int, int] | None, ...]


@contextmanager
def read_ledger(path: Path) -> Iterator[SqliteLedger]:
    """The ledger as it is now, to read for the block; LedgerError where that fails.

    It is read from a copy, made while nobody wrote to it. One that is written to all the time is read where it is,
    where its writer has made what SQLite needs.
    """
    with ExitStack() as held:
        copy = _folder(held) / path.name
        here = copy if _copied(path, copy) else path
        try:
            yield held.enter_context(closing(SqliteLedger.open_existing(here, read_only=True)))
        except LedgerError as error:  # its message is to name the one that the user knows
            raise type(error)(str(error).replace(str(copy), str(path))) from error


def _folder(held: ExitStack) -> Path:
    """For the copy, while `held` is; one that is not there where none can be made."""
    with suppress(OSError):
        return Path(held.enter_context(tempfile.TemporaryDirectory(prefix="magma-remote-", ignore_cleanup_errors=True)))
    return Path("/nonexistent")


def _copied(path: Path, copy: Path) -> bool:
    """Copy it with what is not written back yet: what stands in both when nobody writes is what a power cut leaves."""
    for wait in _WAITS:
        time.sleep(wait)
        try:
            place = path.resolve()  # where SQLite looks for the log
            log = place.with_name(f"{place.name}-wal")
            before = _state(place, log)
            if before is None:
                continue
            shutil.copyfile(place, copy)
            if before[1]:
                shutil.copyfile(log, copy.with_name(f"{copy.name}-wal"))
            if _state(place, log) == before:
                return True
        except (OSError, RuntimeError):  # no room, no ledger, a link to itself: who opens it says what is the matter
            return False
    return False


def _state(*paths: Path) -> _State | None:
    """What tells whether somebody wrote to them; None where somebody did just now."""
    found: list[tuple[int, int, int] | None] = []
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:
            found.append(None)
            continue
        if abs(time.time() - status.st_mtime) < _JUST_NOW:
            return None
        found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)
