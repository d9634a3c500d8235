"""The page: one HTML file that needs nothing beside it and no script."""

from __future__ import annotations

import platform
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from magma_remote import __version__
from magma_remote.model.campaign_file import left_out
from magma_remote.report import drawing, few, lookups, machines, views, wording
from magma_remote.report.repeats import Kind
from magma_remote.report.statistics import ALPHA
from magma_remote.report.tables import FILES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from markupsafe import Markup

    from magma_remote.report.drawing import Axis
    from magma_remote.report.figures import Bug, Finder, Report

PARTS = (
    ("counts", "Bugs found"),
    ("bugs", "Which fuzzer found which bug"),
    ("curves", "Time to each bug"),
    ("pairs", "Fuzzer against fuzzer"),
    ("sole", "Bugs that only one fuzzer finds"),
    ("difficulty", "Bugs by difficulty"),
    ("settings", "Settings, provenance and data"),
)
_FEW_BUGS = 40  # up to so many, all parts of the page are unfolded
_MANY = 6  # from more fuzzers on, tables are set smaller
_MOST_ODD = 200  # trials named on the page; all of them are in the data


def render(report: Report, *, title: str, made: datetime) -> str:
    """The page as HTML. All text is escaped; `made` is when, with its time zone."""
    environment = Environment(
        loader=PackageLoader("magma_remote.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(_filters(report))
    names: Mapping[str, Any] = {
        "alpha": ALPHA,
        "dash": wording.DASH,
        "few": few.few_repeats(report),
        "files": FILES,
        "lede": views.lede(report),
        "left_out": left_out(report.experiment.settings),
        "leader": views.leader(report),
        "machines": machines.shares(report),
        "made": f"{made:%Y-%m-%d %H:%M %Z}".strip(),
        "most_odd": _MOST_ODD,
        "scale": _scale(report),
        "notes": [
            *machines.unlike(report),
            *(f"{target.name}: {note}" for target in report.targets for note in target.notes),
        ],
        "odd": [trial for trial in report.experiment.trials if trial.problems],
        "open_all": len(report.bugs) <= _FEW_BUGS,
        "parts": PARTS,
        "poll": f"{report.experiment.poll} s" if report.experiment.poll else "POLL seconds (not known here)",
        "ranking": views.ranking(report),
        "report": report,
        "title": title,
        "version": __version__,
        "wide": "wide" if len(report.fuzzers) > _MANY else "",
        "versions": _versions(),
    }
    return environment.get_template("page.html.j2").render(names)


def _scale(report: Report) -> tuple[float, float]:
    """From the least to the most bugs of any repeat, with a little room where that is one number."""
    spreads = [spread for cell in report.overall.cells if (spread := cell.spread[Kind.TRIGGERED])]
    low, high = min((of.low for of in spreads), default=0.0), max((of.high for of in spreads), default=0.0)
    return max(0.0, low - (low == high)), high + (low == high)


def _versions() -> dict[str, str]:
    made_with = {name: installed(name) for name in ("numpy", "scipy")}
    return {
        "Report made with": ", ".join(f"{k} {v}" for k, v in {"Python": platform.python_version(), **made_with}.items())
    }


def _filters(report: Report) -> dict[str, Callable[..., Any]]:
    anchors = {(bug.target, bug.name): f"bug-{i}" for i, bug in enumerate(report.bugs, 1)}

    def anchor(bug: Bug) -> str:
        return anchors[bug.target, bug.name]

    def context(bug: Bug, axis: Axis) -> Markup:
        return drawing.context(bug, axis, f"all-{anchor(bug)}")

    def panel(finder: Finder, bug: Bug, axis: Axis) -> Markup:
        return drawing.panel(finder, axis, f"all-{anchor(bug)}", views.panel_label(finder, bug))

    own = (
        lookups.apart, lookups.blocks, lookups.by_fuzzer, lookups.by_pair, lookups.finders_of, lookups.names_in,
        lookups.panels, lookups.share, lookups.uncompared, views.bug_line, views.count_text, views.difference,
        views.distinct, views.extremes, views.found_line, views.nothing_found, views.pairs_line, views.partly,
        views.plain, views.planned, views.reached_line, few.few_for_times, wording.counted, wording.number, wording.of,
        wording.p_value, wording.restricted_text, wording.short_time, wording.whole, drawing.spread_bar, anchor,
        context, panel,
    )  # fmt: skip
    filters: dict[str, Callable[..., Any]] = {function.__name__: function for function in own}
    return {**filters, "axis": lambda target: drawing.axis_of(target, report.horizon.seconds)}
