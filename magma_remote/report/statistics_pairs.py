"""Two samples against each other: tests that hold for few trials, effect sizes, and letters for many pairs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from math import comb
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from magma_remote.report.statistics_survival import censored

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from magma_remote.report.statistics_survival import Flags, Floats

_EXACT_PAIRS = 400  # up to 20 against 20 values, ranks are counted out; above it, the normal approximation is close
_EXACT_TRIALS = 24  # up to 12 against 12 trials, more where some are alike, every split of them is counted
_WORDS = ((0.21, "large"), (0.14, "medium"), (0.06, "small"), (0.0, "negligible"))
_ROUND = 1e-9
_DIGITS = 12


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """Mann-Whitney of x against y: U of x, the two-sided p, and A12, the chance that x is above y (ties half)."""

    u: float
    p: float
    a12: float
    exact: bool


def effect_word(a12: float) -> str:
    """How large an A12 is: from 0.56 small, 0.64 medium, 0.71 large (Vargha and Delaney 2000), and so below 0.5."""
    distance = abs(a12 - 0.5)
    return next(word for bound, word in _WORDS if distance >= bound - _ROUND)


def mann_whitney(x: Sequence[float], y: Sequence[float]) -> Ranked:
    """Mann and Whitney's test (1947) of two samples, neither empty, that may have ties.

    Up to 20 against 20 values p is exact given the ties: twice the smaller tail, at most 1. SciPy's own exact p knows
    no ties, and its approximation finds p < 0.05 for 3 against 3, where 0.1 is the least there is.
    """
    ranks = stats.rankdata([*x, *y])
    u = float(ranks[: len(x)].sum()) - len(x) * (len(x) + 1) / 2
    a12 = u / (len(x) * len(y))
    exact = len(x) * len(y) <= _EXACT_PAIRS
    if len(set(ranks)) == 1:
        p = 1.0
    elif exact:
        p = _exact_p(tuple(sorted((2 * ranks).astype(int).tolist())), len(x), round(2 * float(ranks[: len(x)].sum())))
    else:
        p = float(stats.mannwhitneyu(x, y, method="asymptotic").pvalue)
    return Ranked(u=u, p=p, a12=a12, exact=exact)


@cache
def _exact_p(ranks: tuple[int, ...], size: int, total: int) -> float:
    """Twice the smaller tail of the sum of `size` of the doubled `ranks`, at `total`.

    The shift algorithm (Streitberg and Roehmel 1986): `ways[k, s]` counts the choices of k ranks whose sum is s.
    """
    ways = np.zeros((size + 1, sum(ranks) + 1))
    ways[0, 0] = 1
    for rank in ranks:
        ways[1:, rank:] += ways[:-1, : ways.shape[1] - rank].copy()
    chances = ways[size] / comb(len(ranks), size)
    return min(1.0, 2 * float(min(chances[: total + 1].sum(), chances[total:].sum())))


@dataclass(frozen=True, kw_only=True)
class LogRank:
    """The log-rank test of x against y: `z` is above 0 where x has its events sooner, p is two-sided."""

    z: float
    p: float
    exact: bool


def log_rank(x: Floats, x_seen: Flags, y: Floats, y_seen: Flags) -> LogRank | None:
    """Mantel's log-rank test (1966) of two samples of censored times; None where neither saw an event.

    Up to 12 against 12 trials p is the share of all splits of the trials whose sum of log-rank scores is as far from 0
    (Peto and Peto 1972), which needs no large sample but that trials are censored alike; and above that, as long as no
    more than 24 are left beside the largest set of trials with one score, such as those that are censored at their end.
    Else chi-squared, which promises too much where events are few: 0.029 for 4 of 10 against none of 10, exactly 0.087.
    """
    if not (x_seen.any() or y_seen.any()):
        return None
    times, seen = np.concatenate([x, y]), np.concatenate([x_seen, y_seen])
    scores = _scores(times, seen)
    if not scores.any():
        return LogRank(z=0.0, p=1.0, exact=True)
    alike = _most_common(scores)
    if int((scores != alike).sum()) <= _EXACT_TRIALS:
        z = float(scores[: len(x)].sum() / _deviation(scores, len(x)))
        return LogRank(z=z, p=_split_p(scores, len(x), alike), exact=True)
    result = stats.logrank(censored(x, x_seen), censored(y, y_seen))
    return LogRank(z=float(result.statistic), p=float(result.pvalue), exact=False)


def _scores(times: Floats, seen: Flags) -> Floats:
    """Each trial's event minus its Nelson-Aalen cumulative hazard in the pooled sample; they sum to 0."""
    steps = np.unique(times[seen])
    hazard = ((times[:, None] == steps) & seen[:, None]).sum(axis=0) / (times[:, None] >= steps).sum(axis=0)
    scores: Floats = seen - ((times[:, None] >= steps) * hazard).sum(axis=1)
    return np.round(scores, _DIGITS)


def _most_common(scores: Floats) -> float:
    values, counts = np.unique(scores, return_counts=True)
    return float(values[counts.argmax()])


def _deviation(scores: Floats, size: int) -> float:
    """Standard deviation of the sum of `size` of the scores, drawn without replacement."""
    n = len(scores)
    return float((size * (n - size) / (n * (n - 1)) * (scores**2).sum()) ** 0.5)


def _split_p(scores: Floats, size: int, alike: float) -> float:
    """The share of all choices of `size` scores whose sum is as far from 0 as that of the first `size`.

    Scores equal to `alike` are counted, not tried; the others are cut in halves, and the sums of one half looked up
    among those of the other (Horowitz and Sahni 1974): 2^12 of each for 24, where there are 2.7 million choices.
    """
    bound = abs(scores[:size].sum()) - _ROUND
    if bound <= 0:
        return 1.0
    rest = scores[scores != alike]
    same = len(scores) - len(rest)
    left, right = _sums(rest[: len(rest) // 2]), _sums(rest[len(rest) // 2 :])
    far = 0
    for (taken, of_left), (more, of_right) in product(enumerate(left), enumerate(right)):
        if 0 <= (others := size - taken - more) <= same:
            base = of_left + others * alike
            above = len(of_right) * len(base) - int(np.searchsorted(of_right, bound - base, side="left").sum())
            below = int(np.searchsorted(of_right, -bound - base, side="right").sum())
            far += comb(same, others) * (above + below)
    return far / comb(len(scores), size)


def _sums(scores: Floats) -> list[Floats]:
    """The sums of all choices of 0, 1, 2, … of the scores, in ascending order."""
    chosen, sizes = _choices(len(scores))
    sums = chosen @ scores
    return [np.sort(sums[sizes == size]) for size in range(len(scores) + 1)]


@cache
def _choices(n: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Every choice out of n, one a row, and how many each takes."""
    chosen = (np.arange(1 << n)[:, None] >> np.arange(n)) & 1
    return chosen.astype(float), chosen.sum(axis=1)


def letters(names: Sequence[str], differ: Collection[frozenset[str]]) -> dict[str, str]:
    """A compact letter display (Piepho 2004): two names share a letter exactly where they do not `differ`.

    `names` come in the order in which letters are to be given out; each gets at least one.
    """
    groups = [frozenset(names)]
    for pair in sorted(differ, key=lambda pair: sorted(map(names.index, pair))):
        groups = _absorb([part for group in groups for part in _parted(group, pair)])
    ordered = sorted(groups, key=lambda group: sorted(map(names.index, group)))
    return {name: "".join(_letter(i) for i, group in enumerate(ordered) if name in group) for name in names}


def _parted(group: frozenset[str], pair: frozenset[str]) -> list[frozenset[str]]:
    return [group - {name} for name in pair] if pair <= group else [group]


def _absorb(groups: list[frozenset[str]]) -> list[frozenset[str]]:
    unique = list(dict.fromkeys(groups))
    return [group for group in unique if not any(group < other for other in unique)]


def _letter(index: int) -> str:
    """`a` to `z`, and from `a1` on after that."""
    return "abcdefghijklmnopqrstuvwxyz"[index % 26] + (str(index // 26) if index >= 26 else "")  # noqa: PLR2004 - letters that there are
