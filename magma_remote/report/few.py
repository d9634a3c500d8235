"""Where there are too few repeats for any test to tell fuzzers apart, which is to be said before its p is read."""

from __future__ import annotations

import itertools
from math import comb
from typing import TYPE_CHECKING

from magma_remote.report.statistics import ALPHA
from magma_remote.report.wording import counted

if TYPE_CHECKING:
    from magma_remote.report.figures import Report, Target


def few_repeats(report: Report) -> str:
    """A warning where there are too few repeats for any test of bugs found to tell; empty elsewhere."""
    most = max((cell.n for target in report.targets for cell in target.counts.cells), default=0)
    tested = [sum(pair.p is not None for pair in target.counts.pairs) for target in report.targets]
    pairs = min(filter(None, tested), default=0)
    if not (most and pairs) or most >= (needed := repeats_needed(pairs)):
        return ""
    return (
        f"With {counted(most, 'repeat')} no test can tell any two of {len(report.fuzzers)} fuzzers apart on a target, "
        f"whatever they found there: {counted(pairs, 'pair')} and a level of 5 % take {needed} repeats at least."
    )


def repeats_needed(pairs: int) -> int:
    """Repeats of each fuzzer without which no exact two-sided p, corrected for so many pairs, is below the level.

    The least p of n against n is 2 of all C(2n, n) splits, and Holm multiplies the least of all by their number.
    """
    return next(n for n in itertools.count(1) if 2 * pairs / comb(2 * n, n) < ALPHA)


def few_for_times(target: Target) -> str:
    """A warning where no log-rank test of a target can tell any two fuzzers apart; empty elsewhere.

    The least exact p is one split of all, and its mirror image where both have as many repeats; Holm multiplies it by
    the number of tests. Where p is from chi-squared there is no least one.
    """
    tests = [pair for bug in target.bugs for pair in bug.pairs if pair.p is not None]
    n = {cell.fuzzer: cell.n for cell in target.counts.cells}
    least = min(((1 + (n[of.x] == n[of.y])) / comb(n[of.x] + n[of.y], n[of.x]) for of in tests), default=0.0)
    if not all(pair.exact for pair in tests) or least * len(tests) < ALPHA:
        return ""
    together = f"{counted(len(tests), 'test')} are corrected together, and " if len(tests) > 1 else ""
    return (
        f"No log-rank test can tell any two fuzzers apart here, whatever they found: {together}there are too few "
        "repeats for that."
    )
