"""Numbers as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magma_remote.report.statistics import ALPHA

if TYPE_CHECKING:
    from magma_remote.report.figures import Times

DASH = "–"  # noqa: RUF001 - an en dash, as between the ends of a range
NBSP = "\u00a0"
_MINUTE, _HOUR, _DAYS = 60.0, 3600.0, 100 * 3600.0


def short_time(seconds: float) -> str:
    """`11520` → `3.2 h`: one unit, two or three figures; hours up to 99."""
    if seconds < _MINUTE:
        return f"{_figures(seconds)} s"
    if seconds < _HOUR:
        return f"{_figures(seconds / _MINUTE)} min"
    if seconds < _DAYS:
        return f"{_figures(seconds / _HOUR)} h"
    return f"{_figures(seconds / 86_400)} d"


def _figures(value: float) -> str:
    text = f"{value:.1f}" if value < 10 else f"{value:.0f}"  # noqa: PLR2004 - a third figure says nothing
    return text.removesuffix(".0")


def time_range(low: float, high: float) -> str:
    """Two times with the unit once, where it is the same: from 2 to 4.8 h."""
    first, last = short_time(low), short_time(high)
    number, unit = first.split()
    return f"{number if unit == last.split()[1] else first} {DASH} {last}"


def number(value: float | None) -> str:
    """A mean or a deviation: one decimal; a dash where there is none."""
    return DASH if value is None else f"{value:.1f}"


def whole(value: float) -> str:
    """A count, with commas."""
    return f"{value:,.0f}"


def counted(count: int, what: str) -> str:
    """`1 bug`, `7 bugs`."""
    return f"{whole(count)} {what}" + ("" if count == 1 else "s")


def p_value(p: float | None) -> str:
    """Two figures, and no more than the test can tell: `<0.001`, `0.003`, `0.21`, `1`."""
    if p is None:
        return DASH
    if p < 0.001:  # noqa: PLR2004 - what follows is no longer read
        return "<0.001"
    if p < 0.1:  # noqa: PLR2004 - below it the second figure is the third decimal
        digits = 3 if round(p, 3) != ALPHA else 4
        return f"{p:.{digits}f}" if round(p, digits) != ALPHA or p >= ALPHA else f"<{ALPHA}"
    return f"{p:.2f}".removesuffix(".00")


def of(n: int, expected: int) -> str:
    """`9 of 10`."""
    return f"{n:,} of {expected:,}"


def restricted_text(times: Times) -> str:
    """A restricted mean with its interval; without that where there is none, a dash where there is nothing."""
    mean = times.restricted
    if mean is None or not times.count:
        return DASH
    if mean.low is None or mean.high is None:
        return f"{short_time(mean.mean)} (no interval: {mean.why})"
    return f"{short_time(mean.mean)} ({time_range(mean.low, mean.high)})"
