"""A trial's monitor dumps, taken in any order, and what they say: first stamps as Magma's exp2json takes them.

A dump is a CSV header `BUG_R,BUG_T,…` and one row of counts. Most dumps of a trial differ from one another in the size
of their counts alone, so that what is kept of them is which counts are above zero, and between which stamps.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from .document import show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .experiment import Findings

LARGEST = 1 << 20
"""Bytes; a larger file is no dump."""

_ABOVE_ZERO = re.compile(rb"[1-9][0-9]*")
_LONGEST_PATTERN = 1 << 14  # characters of a row whose form is worth a pattern
_KINDS = ("_R", "_T")
_LONGEST_STAMP = 15  # digits: every reader of JSON keeps such a number
_DRIFT = 0.01  # of TIMEOUT; dumping takes some 20 ms a poll


def is_stamp(name: str | bytes) -> bool:
    """Whether a name in `monitor/` is that of a dump."""
    return name.isdigit() and name.isascii() and len(name) <= _LONGEST_STAMP


@dataclass(slots=True)
class _Span:
    """Stamps of the first and last dump of a form, and how many there are."""

    first: int
    last: int
    count: int = 1

    def add(self, stamp: int) -> None:
        self.count += 1
        if stamp < self.first:
            self.first = stamp
        elif stamp > self.last:
            self.last = stamp


@dataclass(slots=True)
class _Counts:
    """What is known of one column: when it was first above zero, and when last zero."""

    first: int | None = None
    zero: int = -1


@dataclass(kw_only=True)
class _Odd:
    """Things of one kind that should not be: how many, and one of them."""

    example: str = ""
    count: int = 0

    def add(self, example: str, count: int = 1) -> None:
        self.example = self.example or example
        self.count += count

    def __str__(self) -> str:
        more = f" and {self.count - 1} more" if self.count > 1 else ""
        return f"{self.example}{more}"


@dataclass
class Dumps:
    """Those of one trial. `add` takes a dump, `refuse` what else is in its folder; then ask what is found."""

    stamps: list[int] = field(default_factory=list)
    _spans: dict[tuple[bytes, bytes], _Span] = field(default_factory=dict)
    _usual: tuple[bytes, Callable[[bytes], object], _Span] | None = None
    _empty: _Odd = field(default_factory=_Odd)
    _foreign: _Odd = field(default_factory=_Odd)

    def add(self, stamp: int, text: bytes) -> None:
        """A file `monitor/STAMP`."""
        header, _, rest = text.partition(b"\n")
        row = rest.lstrip(b"\r\n").partition(b"\n")[0]
        if not row:
            self._empty.add(f"monitor/{stamp}")
            return
        self.stamps.append(stamp)
        usual = self._usual
        if usual and usual[0] == header and usual[1](row):
            usual[2].add(stamp)
            return
        form = (header, _ABOVE_ZERO.sub(b"1", row))
        span = self._spans.get(form)
        if span is None:
            self._spans[form] = _Span(stamp, stamp)
            return
        span.add(stamp)
        if len(row) < _LONGEST_PATTERN:  # most dumps have the form of the one before: to see that is quickest
            self._usual = header, _rows_of(form[1]), span

    def refuse(self, name: str) -> None:
        """Something in `monitor/` that is no dump; readers that take every name for a number stumble over it."""
        self._foreign.add(show(name))

    def findings(self) -> tuple[Findings, Findings, tuple[str, ...]]:
        """First stamps by bug of what was reached and what was triggered, and what is odd about the rows."""
        columns, odd = self._columns()
        kinds: dict[str, Findings] = {kind: {} for kind in _KINDS}
        for name, counts in sorted(columns.items()):
            if counts.first is not None:
                kinds[name[-2:]][name[:-2]] = counts.first
        shrunk = _Odd()
        for name, counts in sorted(columns.items()):
            if counts.first is not None and counts.zero > counts.first:
                shrunk.add(f"{name} was above zero at {counts.first} s and zero at {counts.zero} s")
        problems = tuple(
            f"{what}: {odds}"
            for what, odds in (
                ("rows that are cut short or have no whole counts", odd),
                ("counts that shrink", shrunk),
                ("dumps without a row", self._empty),
                ("names in monitor/ that are no stamps", self._foreign),
            )
            if odds.count
        )
        return kinds["_R"], kinds["_T"], problems

    def _columns(self) -> tuple[dict[str, _Counts], _Odd]:
        columns: dict[str, _Counts] = {}
        odd = _Odd()
        for (header, row), span in self._spans.items():
            for name, above in _cells(header, row):
                if above is None:
                    odd.add(f"monitor/{span.first}", span.count)
                    break
                counts = columns.setdefault(name, _Counts())
                if not above:
                    counts.zero = max(counts.zero, span.last)
                elif counts.first is None or span.first < counts.first:
                    counts.first = span.first
        return columns, odd

    def timing(self, *, timeout: float | None, poll: int | None) -> tuple[str, ...]:
        """What is odd about the stamps; a TIMEOUT or POLL that is not known is left out of it."""
        stamps = sorted(self.stamps)
        if not stamps:
            return ("no canary was ever reached: Magma's exp2json leaves such a trial out",)
        problems = [*_twice(stamps), *_gaps(stamps, poll or _usual_step(stamps))]
        if timeout is not None:
            problems += _drift(stamps[-1], timeout, poll or _usual_step(stamps))
        return tuple(problems)


def _rows_of(form: bytes) -> Callable[[bytes], object]:
    """What is true of the rows that have a form."""
    return re.compile(re.escape(form).replace(b"1", b"[1-9][0-9]*+")).fullmatch


def _cells(header: bytes, row: bytes) -> Iterator[tuple[str, bool | None]]:
    """Columns with whether they are above zero; None for one that cannot be told, after all that can."""
    names = header.strip().split(b",")
    cells = row.strip().split(b",")
    bad = len(names) != len(cells)
    for raw, cell in zip(names, cells, strict=False):
        name = raw.decode("ascii", "backslashreplace")
        if not cell.isdigit() or name[-2:] not in _KINDS or len(name) == len(_KINDS[0]):
            bad = True
        else:
            yield name, cell.strip(b"0") != b""
    if bad:
        yield "", None


def _usual_step(stamps: list[int]) -> int:
    """The most common distance of two stamps, the smaller of two that are; 0 where there is none."""
    steps = Counter(after - before for before, after in pairwise(stamps))
    return min(steps, key=lambda step: (-steps[step], step), default=0)


def _twice(stamps: list[int]) -> list[str]:
    count = len(stamps) - len(set(stamps))
    return [f"{count} stamps stand twice in the tarball: all of them were read"] if count else []


def _gaps(stamps: list[int], poll: int) -> list[str]:
    """Polls that are not there between two that are, and stamps that are not POLL apart."""
    if poll < 1:
        return []
    steps = [(after - before, before) for before, after in pairwise(stamps) if after > before]
    lost = sum(step // poll - 1 for step, _ in steps if step > poll)
    off = sum(step % poll != 0 for step, _ in steps)
    problems = []
    if lost > 0:
        longest, at = max(steps)
        problems.append(f"{lost} polls are missing, the longest gap is from {at} s to {at + longest} s")
    if off:
        problems.append(f"{off} stamps are not {poll} s after the one before")
    return problems


def _drift(last: int, timeout: float, poll: int) -> list[str]:
    """Stamps count polls, not seconds: behind a slow poll all of them are too small."""
    allowed = max(2.0 * max(poll, 1), timeout * _DRIFT)
    if last < timeout - allowed:
        return [f"the last stamp is {last} s of {timeout:g} s: the monitor ended early, or its stamps drift"]
    if last > timeout + allowed:
        return [f"the last stamp is {last} s, after the TIMEOUT of {timeout:g} s"]
    return []
