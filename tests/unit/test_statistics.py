"""Figures of one sample, against published examples and cases worked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_remote.report.statistics import describe, holm, share_interval


def test_the_spread_of_a_sample() -> None:
    spread = describe([2, 4, 4, 4, 5, 5, 7, 9])
    assert spread is not None
    assert (spread.n, spread.mean, spread.low, spread.high) == (8, 5.0, 2.0, 9.0)
    assert spread.sd == pytest.approx((32 / 7) ** 0.5)


def test_one_value_has_no_deviation() -> None:
    spread = describe([3])
    assert spread is not None
    assert spread.sd is None
    assert spread.mean == spread.low == spread.high == 3


def test_nothing_has_no_spread() -> None:
    assert describe([]) is None


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [
        # Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17 (1998), table I
        pytest.param(81, 263, 0.2553, 0.3662, id="81-of-263"),
        pytest.param(15, 148, 0.0624, 0.1605, id="15-of-148"),
        pytest.param(0, 20, 0.0, 0.1611, id="none-of-20"),
        pytest.param(1, 29, 0.0061, 0.1718, id="one-of-29"),
    ],
)
def test_wilsons_interval_as_published(count: int, n: int, low: float, high: float) -> None:
    assert share_interval(count, n) == pytest.approx((low, high), abs=6e-5)


def test_no_trials_have_no_share() -> None:
    assert share_interval(0, 0) is None


@pytest.mark.parametrize(
    ("ps", "adjusted"),
    [
        pytest.param([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02], id="four"),
        pytest.param([0.5, 0.9], [1.0, 1.0], id="capped"),
        pytest.param([0.02, 0.02, 0.02], [0.06, 0.06, 0.06], id="ties"),
        pytest.param([0.3], [0.3], id="one"),
        pytest.param([], [], id="none"),
    ],
)
def test_holm_by_hand(ps: list[float], adjusted: list[float]) -> None:
    assert holm(ps) == pytest.approx(adjusted)


@given(st.lists(st.floats(0, 1), max_size=30))
def test_holm_keeps_the_order_and_lies_between_p_and_bonferroni(ps: list[float]) -> None:
    adjusted = holm(ps)
    assert all(p <= a <= min(1.0, p * len(ps)) + 1e-12 for p, a in zip(ps, adjusted, strict=True))
    pairs = sorted(zip(ps, adjusted, strict=True))
    assert [a for _, a in pairs] == sorted(a for _, a in pairs)
