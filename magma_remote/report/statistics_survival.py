"""Times to an event of which not every trial saw it: Kaplan-Meier curves and restricted means. Pure functions."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from magma_remote.report.statistics import LEVEL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

_HALF = 0.5
FEW = 2  # the least number of trials that has a spread


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A survival function after each time at which something happened: 1 before the first, level after the last.

    All arrays are as long as `times` (seconds, ascending). `low` and `high` are None where no band is defined: where
    `survival` is 1 or 0.
    """

    times: tuple[float, ...]
    survival: tuple[float, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    at_risk: tuple[int, ...]
    events: tuple[int, ...]

    @property
    def median(self) -> float | None:
        """The first time at which half of the trials or more have had the event; None if that never is."""
        return next((time for time, left in zip(self.times, self.survival, strict=True) if left <= _HALF), None)


@dataclass(frozen=True, kw_only=True)
class Restricted:
    """A restricted mean survival time in seconds; its interval, or why it has none."""

    mean: float
    low: float | None = None
    high: float | None = None
    why: str = ""


def censored(durations: Floats, observed: Flags) -> stats.CensoredData:
    """SciPy's form of times of which those that are not `observed` are only known to be longer."""
    return stats.CensoredData(uncensored=durations[observed], right=durations[~observed])


def kaplan_meier(durations: Floats, observed: Flags) -> Curve:
    """Kaplan and Meier's product-limit estimate (1958) with pointwise log-log bands (Kalbfleisch and Prentice 1980).

    `durations` (seconds, at least one) are times of the event where `observed`, of censoring elsewhere.
    """
    function = stats.ecdf(censored(durations, observed)).sf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # SciPy warns where the band is undefined; we leave it out
        band: Any = function.confidence_interval(confidence_level=LEVEL, method="log-log")
    times, survival = function.quantiles, function.probabilities
    inside = (survival > 0) & (survival < 1)
    return Curve(
        times=tuple(times.tolist()),
        survival=tuple(survival.tolist()),
        low=_where(inside, band.low.probabilities),
        high=_where(inside, band.high.probabilities),
        at_risk=tuple(int(count) for count in (durations[:, None] >= times).sum(axis=0)),
        events=tuple(int(count) for count in ((durations[:, None] == times) & observed[:, None]).sum(axis=0)),
    )


def _where(inside: Flags, values: Floats) -> tuple[float | None, ...]:
    return tuple(float(value) if defined else None for value, defined in zip(values, inside, strict=True))


def restricted_mean(curve: Curve, horizon: float) -> tuple[float, float]:
    """The area under `curve` up to `horizon`, and the variance of that estimate.

    Greenwood's plug-in (Klein and Moeschberger 2003, section 4.5): the sum of A(t)^2 d / (n (n - d)) over the times t
    of d events among n at risk, where A(t) is the area from t to `horizon`.
    """
    inside = np.asarray(curve.times) <= horizon
    times = np.append(np.asarray(curve.times)[inside], horizon)
    survival = np.asarray(curve.survival)[inside]
    risk, events = np.asarray(curve.at_risk)[inside], np.asarray(curve.events)[inside]
    areas = np.diff(times) * survival
    ahead = np.cumsum(areas[::-1])[::-1]
    left = risk - events
    terms = ahead**2 * events / np.where(left > 0, risk * left, 1)  # where nobody is left, no area is ahead either
    return float(times[0] + areas.sum()), float(terms[left > 0].sum())


def restricted(curve: Curve, n: int, horizon: float) -> Restricted:
    """The restricted mean of `n` trials with a confidence interval inside [0, `horizon`].

    The interval is Student's, with n - 1 degrees of freedom and the plug-in variance times n / (n - 1): where nobody
    is censored before `horizon` that is the usual interval of the mean of min(time, `horizon`). With few trials the
    normal quantile and the plug-in variance alone promise too much.
    """
    mean, variance = restricted_mean(curve, horizon)
    mean = min(mean, horizon)
    if not any(curve.events):
        return Restricted(mean=horizon, why="no repeat had it")
    if n < FEW:
        return Restricted(mean=mean, why="one repeat")
    if variance <= (1e-9 * horizon) ** 2:
        return Restricted(mean=mean, why="all repeats alike")
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * (variance / (n - 1) * n) ** 0.5
    return Restricted(mean=mean, low=max(0.0, mean - half), high=min(horizon, mean + half))
