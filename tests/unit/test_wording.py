"""Numbers as people read them."""

from __future__ import annotations

import pytest

from magma_remote.report.wording import DASH, number, p_value, short_time, time_range


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (5, "5 s"), (7.55, "7.5 s"), (59, "59 s"), (60, "1 min"), (90, "1.5 min"), (3599, "60 min"),
        (3600, "1 h"), (11_520, "3.2 h"), (86_400, "24 h"), (359_999, "100 h"), (864_000, "10 d"),
    ],
)  # fmt: skip
def test_a_time(seconds: float, text: str) -> None:
    assert short_time(seconds) == text


def test_a_range_has_one_unit_where_it_can() -> None:
    assert time_range(7200, 17_280) == f"2 {DASH} 4.8 h"
    assert time_range(600, 7200) == f"10 min {DASH} 2 h"


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (None, DASH), (0.0, "<0.001"), (0.00099, "<0.001"), (0.0123, "0.012"), (0.0499, "0.0499"), (0.0444, "0.044"),
        (0.27, "0.27"), (0.999, "1"), (1.0, "1"),
    ],
)  # fmt: skip
def test_a_p_value(p: float | None, text: str) -> None:
    assert p_value(p) == text


def test_a_mean_or_its_absence() -> None:
    assert number(4.25) == "4.2"
    assert number(None) == DASH
