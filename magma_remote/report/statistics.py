"""Figures of one sample, and the correction for many comparisons. Pure functions on arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Sequence

LEVEL = 0.95
"""Of every confidence interval and band."""
ALPHA = 0.05
"""Below it, a corrected p counts as a difference."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A sample's mean, its standard deviation (divisor n - 1; None for one value) and its extremes."""

    n: int
    mean: float
    sd: float | None
    low: float
    high: float


def describe(values: Sequence[float]) -> Spread | None:
    """The spread of `values`; None where there is none."""
    if not values:
        return None
    sample = np.asarray(values, dtype=float)
    return Spread(
        n=len(values),
        mean=float(sample.mean()),
        sd=float(sample.std(ddof=1)) if len(values) > 1 else None,
        low=float(sample.min()),
        high=float(sample.max()),
    )


@cache
def share_interval(count: int, n: int) -> tuple[float, float] | None:
    """Wilson's score interval of count/n (Wilson 1927; Brown, Cai and DasGupta 2001 for small n); None for n = 0."""
    if not n:
        return None
    interval = stats.binomtest(count, n).proportion_ci(confidence_level=LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values in the order given (Holm 1979): at most 1, and in the order of `ps`."""
    count = len(ps)
    order = sorted(range(count), key=ps.__getitem__)
    adjusted, floor = [0.0] * count, 0.0
    for rank, index in enumerate(order):
        floor = max(floor, min(1.0, ps[index] * (count - rank)))
        adjusted[index] = floor
    return adjusted
