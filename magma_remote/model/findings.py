"""Collects what is wrong in a file, so that all of it is reported at once."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from ..errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_GUESSED = 64  # difflib takes quadratic time, and nobody mistypes a longer name
MOST_LISTED = 40  # names in one message


class Findings:
    """Problems in the order in which they were met; `check` raises them in file order."""

    def __init__(self, problems: Iterable[Problem] = ()) -> None:
        self._problems = list(problems)

    def add(self, key: str, line: int | None, found: str, allowed: str = "", hint: str = "") -> None:
        """Note one problem; see `Problem` for the fields."""
        self._problems.append(Problem(key=key, line=line, found=found, allowed=allowed, hint=hint))

    def check(self, source: str) -> None:
        """Raise ConfigError where anything was found: by line, those without a line last."""
        if self._problems:
            in_order = sorted(self._problems, key=lambda p: (p.line is None, p.line or 0))
            raise ConfigError(in_order, source=source)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean X?` for a near miss (case and `-` for `_` aside), or an empty text."""
    if len(word) > LONGEST_GUESSED:
        return ""
    folded = {_fold(name): name for name in known}
    close = get_close_matches(_fold(word), folded, n=1, cutoff=0.6)
    return f"did you mean {folded[close[0]]}?" if close else ""


def _fold(name: str) -> str:
    return name.casefold().replace("-", "_")


def listed(names: Iterable[str]) -> str:
    """Names for `allowed: …`, shortened where there are very many."""
    every = list(names)
    more = len(every) - MOST_LISTED
    return ", ".join(every[:MOST_LISTED]) + (f", and {more} more" if more > 0 else "")
