"""Kaplan-Meier curves and restricted means, against published figures, lifelines, and cases worked by hand."""

from __future__ import annotations

import warnings
from random import Random

import numpy as np
import pytest
from scipy import stats

from magma_remote.report.statistics_survival import Curve, kaplan_meier, restricted, restricted_mean
from tests.support.report.survival import PLACEBO, SIX_MP, Sample, sample

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # lifelines and what it imports warn of their own affairs
    from lifelines import KaplanMeierFitter
    from lifelines.datasets import load_waltons
    from lifelines.utils import restricted_mean_survival_time


def events_of(curve: Curve) -> list[tuple[float, float]]:
    return [
        (time, left) for time, left, events in zip(curve.times, curve.survival, curve.events, strict=True) if events
    ]


def waltons(group: str | None = None) -> Sample:
    """The data that lifelines' documentation begins with."""
    frame = load_waltons()
    frame = frame if group is None else frame[frame["group"] == group]
    return frame["T"].to_numpy(dtype=float), frame["E"].to_numpy(dtype=bool)


def random_sample(seed: int) -> Sample:
    """Up to 12 trials with ties, many of them censored at 100 and some before."""
    random = Random(seed)
    times = [min(100, random.choice([5, 10, 20, 40, 80, 160, 320])) for _ in range(random.randint(2, 12))]
    seen = [time < 100 and random.random() < 0.8 for time in times]
    return np.array(times, dtype=float), np.array(seen, dtype=bool)


def test_the_product_limit_estimate_of_the_6_mp_trial() -> None:
    # Klein and Moeschberger, Survival Analysis (2003), table 4.1
    published = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
    assert dict(events_of(kaplan_meier(*SIX_MP))) == pytest.approx(published, abs=6e-4)


def test_the_restricted_mean_of_the_6_mp_trial() -> None:
    # Klein and Moeschberger, section 4.5: 23.29 weeks up to week 35, standard error 2.83; placebo 8.67
    mean, variance = restricted_mean(kaplan_meier(*SIX_MP), 35)
    assert mean == pytest.approx(23.29, abs=0.005)
    assert variance**0.5 == pytest.approx(2.83, abs=0.005)
    assert restricted_mean(kaplan_meier(*PLACEBO), 35)[0] == pytest.approx(8.67, abs=0.005)


def test_the_medians_of_lifelines_first_example() -> None:
    assert kaplan_meier(*waltons()).median == 56
    assert kaplan_meier(*waltons("miR-137")).median == 26


@pytest.mark.parametrize("group", ["control", "miR-137"])
def test_the_restricted_mean_is_that_of_lifelines(group: str) -> None:
    durations, observed = waltons(group)
    fitted = KaplanMeierFitter().fit(durations, observed)
    expected = restricted_mean_survival_time(fitted, t=60)
    assert restricted_mean(kaplan_meier(durations, observed), 60)[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(SIX_MP, id="6-mp"),
        pytest.param(PLACEBO, id="placebo"),
        *(pytest.param(random_sample(seed), id=f"random-{seed}") for seed in range(12)),
    ],
)
def test_curve_and_band_are_those_of_lifelines(data: Sample) -> None:
    curve = kaplan_meier(*data)
    fitted = KaplanMeierFitter().fit(*data)
    assert curve.survival == pytest.approx(fitted.survival_function_at_times(curve.times).to_numpy())
    band = fitted.confidence_interval_survival_function_.loc[list(curve.times)].to_numpy()
    for low, high, left, (theirs_low, theirs_high) in zip(curve.low, curve.high, curve.survival, band, strict=True):
        if 0 < left < 1:
            assert (low, high) == pytest.approx((theirs_low, theirs_high))
        else:
            assert low is high is None
    table = fitted.event_table.loc[list(curve.times)]
    assert curve.at_risk == tuple(table["at_risk"])
    assert curve.events == tuple(table["observed"])


def test_a_curve_by_hand() -> None:
    curve = kaplan_meier(*sample([10, 20, 20, 60, 60], {3, 4}))
    assert dict(events_of(curve)) == pytest.approx({10.0: 0.8, 20.0: 0.4})
    assert curve.median == 20
    # 10 + 10 * 0.8 + 40 * 0.4, as is the mean of 10, 20, 20, 60, 60
    assert restricted_mean(curve, 60)[0] == pytest.approx(34)


def test_without_early_censoring_the_interval_is_that_of_a_mean() -> None:
    times = [10.0, 20, 35, 60, 60, 60]
    mean = restricted(kaplan_meier(*sample(times, {3, 4, 5})), 6, 60)
    usual = stats.ttest_1samp(times, 0).confidence_interval(0.95)
    assert mean.mean == pytest.approx(np.mean(times))
    assert mean.low == pytest.approx(usual.low)
    assert mean.high == 60 < usual.high


@pytest.mark.parametrize(
    ("times", "censored", "mean", "why"),
    [
        pytest.param([60, 60, 60], {0, 1, 2}, 60, "no repeat had it", id="all-censored"),
        pytest.param([60], {0}, 60, "no repeat had it", id="one-censored"),
        pytest.param([15], set(), 15, "one repeat", id="one"),
        pytest.param([15, 15, 15], set(), 15, "all repeats alike", id="no-variance"),
        pytest.param([60, 60], set(), 60, "all repeats alike", id="all-at-the-end"),
    ],
)
def test_a_mean_without_an_interval_says_why(times: list[float], censored: set[int], mean: float, why: str) -> None:
    found = restricted(kaplan_meier(*sample(times, censored)), len(times), 60)
    assert (found.mean, found.low, found.high, found.why) == (mean, None, None, why)


@pytest.mark.parametrize("seed", range(40))
def test_no_sample_gives_a_figure_that_is_none(seed: int) -> None:
    durations, observed = random_sample(seed)
    curve = kaplan_meier(durations, observed)
    mean = restricted(curve, len(durations), 100)
    assert 0 <= mean.mean <= 100
    assert (mean.low is None) == (mean.high is None) == bool(mean.why)
    if mean.low is not None and mean.high is not None:
        assert 0 <= mean.low <= mean.mean <= mean.high <= 100
    assert all(np.isfinite([value for value in (*curve.low, *curve.high) if value is not None]))
