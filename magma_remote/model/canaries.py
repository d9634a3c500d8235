"""What Magma's monitor writes: which canaries were reached and triggered."""

from __future__ import annotations

import re
from dataclasses import dataclass

_COUNT = re.compile(r"[0-9]{1,20}")  # what 64 bits hold


@dataclass(frozen=True, kw_only=True)
class Canary:
    """Counts of one bug at one poll."""

    bug: str
    reached: int
    triggered: int


def parse_row(text: str) -> tuple[Canary, ...]:
    """Read one monitor file: a CSV header `BUG_R,BUG_T,…` and one row of counts.

    A file without a row, or one cut short while it was written, gives the whole pairs that it has.
    """
    lines = text.splitlines()
    header, row = (line.split(",") for line in (*lines[:2], "", "")[:2])
    counts = {name: int(count) for name, count in zip(header, row, strict=False) if _COUNT.fullmatch(count)}
    bugs = [name[:-2] for name in header if name.endswith("_R")]
    return tuple(
        Canary(bug=bug, reached=counts[f"{bug}_R"], triggered=counts[f"{bug}_T"])
        for bug in bugs
        if f"{bug}_R" in counts and f"{bug}_T" in counts
    )


@dataclass(frozen=True, kw_only=True)
class Bugs:
    """Names of the bugs that were reached and triggered so far."""

    reached: frozenset[str] = frozenset()
    triggered: frozenset[str] = frozenset()

    def __or__(self, other: Bugs) -> Bugs:
        return Bugs(reached=self.reached | other.reached, triggered=self.triggered | other.triggered)

    @classmethod
    def of(cls, canaries: tuple[Canary, ...]) -> Bugs:
        """Bugs whose counts are above zero."""
        return cls(
            reached=frozenset(canary.bug for canary in canaries if canary.reached),
            triggered=frozenset(canary.bug for canary in canaries if canary.triggered),
        )
