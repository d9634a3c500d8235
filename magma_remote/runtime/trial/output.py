"""A container's output: kept as its log, read for Magma's launched and terminated lines."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from magma_remote.model.plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import TextIO

    from magma_remote.ports import LogLine

_TAIL = 20
_LAUNCHED = re.compile(r"Campaign launched at \d{4}-\d\d-\d\d \d\d:\d\d")
_CUT = len("Campaign terminated at 2026-01-31 12:00") - 1  # the time of a whole match is that of its line
_TERMINATED = re.compile(r"Campaign terminated at \d{4}-\d\d-\d\d \d\d:\d\d")


@dataclass(frozen=True, kw_only=True)
class Output:
    """When the fuzzer was launched and terminated (seconds since the epoch).

    `tail` holds the last lines that say something, without terminal codes. `problems` says why the log is not
    whole: a full disk must not cost a trial whose files are safe.
    """

    launched_at: float | None
    terminated_at: float | None
    tail: tuple[str, ...]
    problems: tuple[str, ...] = ()


def await_launch(lines: Iterable[LogLine]) -> bool:
    """Read until the launched line; False where the output ends without it."""
    return any(_LAUNCHED.search(text) for _, text in _joined(lines))


def _joined(lines: Iterable[LogLine]) -> Iterator[tuple[LogLine, str]]:
    """Each line, and its text to search: engines cut a long line in two, maybe in the middle of Magma's words."""
    rest = ""
    for line in lines:
        yield line, rest + line.text
        rest = "" if line.text.endswith("\n") else (rest + line.text)[-_CUT:]


def save_output(lines: Iterable[LogLine], destination: Path) -> Output:
    """Write the log. The first launched line counts and the last terminated one: fuzzers may print anything."""
    launched_at = terminated_at = None
    tail: deque[str] = deque(maxlen=_TAIL)
    with _Log(destination) as log:
        for line, text in _joined(lines):
            log.write(line.text)
            if said := plain(line.text):
                tail.append(said)
            if launched_at is None and _LAUNCHED.search(text):
                launched_at = line.at
            if _TERMINATED.search(text):
                terminated_at = line.at
    return Output(launched_at=launched_at, terminated_at=terminated_at, tail=tuple(tail), problems=tuple(log.problems))


class _Log:
    """A file that gives up at its first error and says so."""

    def __init__(self, path: Path) -> None:
        self.problems: list[str] = []
        self._path = path
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        self._try(self._open)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._try(self._file.close)

    def write(self, text: str) -> None:
        """Add a text unless an earlier one could not be added."""
        if self._file and not self.problems:
            self._try(lambda: self._file and self._file.write(text))

    def _open(self) -> None:
        self._file = self._path.open("w", encoding="utf-8")

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except OSError as error:
            self.problems = [f"{self._path} is not whole: {error.strerror}"]  # closing fails for the same reason
