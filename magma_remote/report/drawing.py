"""Figures as SVG: a few hundred bytes each, drawn in the page's own colours, so that paper and dark screens work.

Nothing is told by colour alone: a panel shows one fuzzer, its name is its heading, what is triggered is a full line,
what is reached a dashed one, the band an area, and all other fuzzers are thin lines behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

from markupsafe import Markup

from magma_remote.report.repeats import Kind
from magma_remote.report.wording import short_time

if TYPE_CHECKING:
    from magma_remote.report.figures import Bug, Finder, Target
    from magma_remote.report.statistics import Spread
    from magma_remote.report.statistics_survival import Curve

WIDTH, HEIGHT = 180, 96
_LEFT, _RIGHT, _TOP, _BOTTOM = 14.0, 174.0, 6.0, 78.0
_TICKS = (1.0, 10.0, 60.0, 600.0, 3600.0, 36_000.0, 864_000.0)
_APART = 26.0  # labels closer than this would touch
BAR_WIDTH = 240


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Time from `first` to `last` seconds, in logarithms, on a panel's width."""

    first: float
    last: float

    def x(self, seconds: float) -> float:
        """Where a time is."""
        share = log(max(seconds, self.first) / self.first) / log(self.last / self.first)
        return round(_LEFT + min(1.0, share) * (_RIGHT - _LEFT), 1)

    def ticks(self) -> list[tuple[float, str]]:
        """Places and labels, the last one at the end of the trials."""
        end = (_RIGHT, short_time(self.last))
        inside = [(self.x(tick), short_time(tick)) for tick in _TICKS if self.first <= tick < self.last]
        kept: list[tuple[float, str]] = []
        for place, label in inside:
            if place <= _RIGHT - _APART and (not kept or place >= kept[-1][0] + _APART):
                kept.append((place, label))
        return [*kept, end]


def axis_of(target: Target, horizon: float) -> Axis:
    """One axis for all panels of a target, from its first stamp to the end of the trials."""
    stamps = [
        time
        for bug in target.bugs
        for finder in bug.finders
        for kind in Kind
        for time, events in _steps(finder.times(kind).curve)
        if events
    ]
    first = max(1.0, min(stamps, default=1.0))
    below = max((tick for tick in _TICKS if tick <= first), default=1.0)
    last = max(horizon, below * 2)
    return Axis(first=below, last=last)


def _steps(curve: Curve | None) -> list[tuple[float, int]]:
    return list(zip(curve.times, curve.events, strict=True)) if curve else []


def _y(share: float) -> float:
    return round(_BOTTOM - share * (_BOTTOM - _TOP), 1)


def _line(curve: Curve, axis: Axis) -> str:
    """A path: level until each event, then down to what is left."""
    parts = [f"M{_LEFT:g} {_TOP:g}"]
    for time, left, events in zip(curve.times, curve.survival, curve.events, strict=True):
        if events:
            parts.append(f"H{axis.x(time):g}V{_y(left):g}")
    if curve.survival[-1] > 0:
        parts.append(f"H{axis.x(curve.times[-1]):g}")
    return "".join(parts)


def _band(curve: Curve, axis: Axis) -> str:
    """A path of one rectangle for each step that has a band."""
    ends = [*curve.times[1:], curve.times[-1]]
    return "".join(
        f"M{axis.x(time):g} {_y(high):g}H{axis.x(end):g}V{_y(low):g}H{axis.x(time):g}Z"
        for time, end, low, high in zip(curve.times, ends, curve.low, curve.high, strict=True)
        if low is not None and high is not None and axis.x(end) > axis.x(time)
    )


def context(bug: Bug, axis: Axis, name: str) -> Markup:
    """What all panels of a bug have in common, to be used by `name`: the frame, and every fuzzer's line."""
    lines = (
        Markup('<path d="{}"/>').format(_line(finder.triggered.curve, axis))
        for finder in bug.finders
        if finder.triggered.count and finder.triggered.curve
    )
    half = _y(0.5)
    return Markup(
        '<svg class="hidden" aria-hidden="true" width="0" height="0"><defs><g id="{}">'
        '<path class="frame" d="M{} {}H{}M{} {}H{}"/><path class="half" d="M{} {}H{}"/>'
        '<g class="others">{}</g></g></defs></svg>'
    ).format(
        name,
        *(f"{value:g}" for value in (_LEFT, _TOP, _RIGHT, _LEFT, _BOTTOM, _RIGHT, _LEFT, half, _RIGHT)),
        Markup("").join(lines),
    )


def panel(finder: Finder, axis: Axis, name: str, label: str) -> Markup:
    """One fuzzer on one bug, over the context called `name`."""
    triggered, reached = finder.triggered.curve, finder.reached.curve
    parts = [Markup('<use href="#{}"/>').format(name)]
    if triggered:
        parts.append(Markup('<path class="band" d="{}"/>').format(_band(triggered, axis)))
    if reached and finder.reached.count:
        parts.append(Markup('<path class="reached" d="{}"/>').format(_line(reached, axis)))
    if triggered:
        parts.append(Markup('<path class="line" d="{}"/>').format(_line(triggered, axis)))
        parts.append(_end(triggered, axis))
    return Markup('<svg class="panel" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>').format(
        WIDTH, HEIGHT, label, Markup("").join(parts), _labels(axis)
    )


def _end(curve: Curve, axis: Axis) -> Markup:
    """An open circle where trials end that never had it, a full one where all had it."""
    last = len(curve.times) - 1
    kind = "open" if curve.survival[last] > 0 else "full"
    return Markup('<circle class="{}" cx="{}" cy="{}" r="2.6"/>').format(
        kind, f"{axis.x(curve.times[last]):g}", f"{_y(curve.survival[last]):g}"
    )


def _labels(axis: Axis) -> Markup:
    ticks = axis.ticks()
    marks = "".join(f"M{place:g} {_BOTTOM:g}v3" for place, _ in ticks)
    texts = [
        Markup('<text x="{}" y="91" class="{}">{}</text>').format(
            f"{min(place, _RIGHT + 4):g}", "end" if place == _RIGHT else "middle" if place > _LEFT else "", label
        )
        for place, label in ticks
    ]
    sides = [Markup('<text x="10" y="{}" class="end">{}</text>').format(f"{_y(y) + 3:g}", y) for y in (0, 1)]
    return Markup('<path class="tick" d="{}"/>{}').format(marks, Markup("").join([*texts, *sides]))


def spread_bar(spread: Spread, scale: tuple[float, float]) -> Markup:
    """A line from the least to the most bugs of a repeat, a box of one standard deviation, a dot at the mean."""

    def x(value: float) -> float:
        share = (value - scale[0]) / max(scale[1] - scale[0], 1e-9)
        return round(6 + max(0.0, min(share, 1.0)) * (BAR_WIDTH - 12), 1)

    box = Markup("")
    if spread.sd:
        left, right = x(spread.mean - spread.sd), x(spread.mean + spread.sd)
        box = Markup('<rect class="sd" x="{}" y="4" width="{}" height="12" rx="2"/>').format(
            left, round(right - left, 1)
        )
    low, high = x(spread.low), x(spread.high)
    return Markup(
        '<svg class="spread" viewBox="0 0 {} 20" aria-hidden="true"><path class="half" d="M6 10H{}"/>'
        '{}<path class="line" d="M{} 10H{}M{} 6v8M{} 6v8"/><circle class="full" cx="{}" cy="10" r="3.5"/></svg>'
    ).format(BAR_WIDTH, BAR_WIDTH - 6, box, low, high, low, high, x(spread.mean))
