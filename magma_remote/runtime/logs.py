"""Logs: a JSON object a line for programs, and short lines for people. All of ours go to the logger `magma_remote`."""

from __future__ import annotations

import json
import logging
import sys
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING, Any

from magma_remote.errors import StorageError
from magma_remote.model.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import TextIOWrapper
    from pathlib import Path
    from typing import TextIO

    from magma_remote.model.jobs import Job

LOGGER = "magma_remote"
LARGEST = 10 * 1000 * 1000
"""Bytes of one file, after which it becomes `FILE.1`."""

OLDER = 4
"""How many of these are kept: a dispatcher that runs for months does not fill its disk."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def facts(job: Job, **more: Any) -> dict[str, Any]:
    """The `extra` of a line about a job."""
    return {"job": str(job), "fuzzer": job.fuzzer, "target": job.target, **more}


class JsonLines(logging.Formatter):
    """`{"time": "2024-05-01T12:00:00.123Z", "level": "info", "message": …}` and all that `always` and `extra` give.

    A traceback is in `error`.
    """

    def __init__(self, always: Mapping[str, str]) -> None:
        super().__init__()
        self._always = always

    def format(self, record: logging.LogRecord) -> str:
        """One line of ASCII."""
        time_of = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": time_of.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **self._always,
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD and value is not None}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class PeopleLines(logging.Formatter):
    """`12:00:00 message`, with its level before it from a warning on. Never a traceback: the JSON lines have it."""

    def format(self, record: logging.LogRecord) -> str:
        """The message, with what others have said in it made fit for a terminal."""
        mark = f"{record.levelname}: " if record.levelno >= logging.WARNING else ""
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        return f"{clock} {mark}" + "\n         ".join(plain(line) for line in record.getMessage().splitlines())


class LastingFile(RotatingFileHandler):
    """A log file whose trouble, such as a full disk, costs lines and nothing else; it is told once on `sys.stderr`."""

    def __init__(self, path: Path, always: Mapping[str, str]) -> None:
        self._told = False
        self._line: tuple[logging.LogRecord | None, str] = (None, "")
        super().__init__(path, maxBytes=LARGEST, backupCount=OLDER, encoding="utf-8")
        self.setFormatter(JsonLines(always))

    def format(self, record: logging.LogRecord) -> str:
        """Made once, though asked for twice: to see whether the file has room for it, and to write it."""
        if self._line[0] is not record:
            self._line = (record, super().format(record))
        return self._line[1]

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or lose it."""
        before = self._told
        super().emit(record)
        if before and self.stream is not None:
            self._told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's signature
        """Begin anew with the next line: a stream that has failed may be in any state."""
        stream, self.stream = self.stream, None
        with suppress(OSError, ValueError):
            if stream:
                stream.close()
        if not self._told:
            self._told = True
            error = sys.exc_info()[1]
            with suppress(OSError, ValueError, AttributeError):  # AttributeError: there may be no stderr at all
                sys.stderr.write(f"{self.baseFilename}: the log cannot be written, lines are lost: {error}\n")

    def close(self) -> None:
        """Close it, with what could not be written."""
        with suppress(OSError):
            super().close()

    def _open(self) -> TextIOWrapper:
        """Append, on a line of its own where the last one was cut by a full disk or a kill."""
        stream = super()._open()
        with suppress(OSError), open(self.baseFilename, "rb") as file:  # noqa: PTH123 - logging keeps it as text
            if file.seek(0, 2) and file.seek(-1, 2) and file.read() != b"\n":
                stream.write("\n")
        return stream


class _Console(logging.StreamHandler["TextIO"]):
    """Lines for people; one that nobody can read any more is dropped."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's signature
        """Say nothing: there is nobody to tell."""


@contextmanager
def open_log(path: Path, **always: str) -> Iterator[None]:
    """Append JSON lines to a file for the block, `always` in each of them; StorageError where it cannot be opened."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = LastingFile(path, always)
    except OSError as error:
        raise StorageError(f"the log {path} cannot be written: {error.strerror or error}") from error
    with _handling(handler):
        yield


@contextmanager
def console(stream: TextIO) -> Iterator[None]:
    """Write lines for people to a stream for the block."""
    handler = _Console(stream)
    handler.setFormatter(PeopleLines())
    with _handling(handler):
        yield


@contextmanager
def _handling(handler: logging.Handler) -> Iterator[None]:
    logger = logging.getLogger(LOGGER)
    before = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False  # nobody's handlers but ours
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
        handler.close()
