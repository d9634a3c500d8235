"""The report's data, as rows for CSV files and one JSON object: every figure of the page, and those it leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magma_remote.report.repeats import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from magma_remote.report.figures import BugPair, CountPair, Report

Row = dict[str, Any]

EXPERIMENT = "experiment.json"

FILES = (
    ("report.json", "all that follows but the curves and the trials, and the campaign's settings"),
    ("counts.csv", "bugs per repeat of each fuzzer and target; an empty target stands for all together"),
    ("times.csv", "each fuzzer and bug: repeats that saw it, restricted mean and median in seconds, with intervals"),
    ("curves.csv", "each survival curve with its band, a row for each step"),
    ("pairs_counts.csv", "Mann-Whitney and A12 of each pair of fuzzers"),
    ("pairs_times.csv", "log-rank of each pair of fuzzers and bug"),
    ("bugs.csv", "bugs from easy to hard"),
    ("sole.csv", "bugs that only one fuzzer finds"),
    ("trials.csv", "each trial with its stamps: bug → seconds"),
    ("missing.csv", "trials that are missing, with the reason"),
    (EXPERIMENT, "all that this report was made from: `magma-remote report` makes it anew, given this file"),
)


def counts(report: Report) -> Iterator[Row]:
    """See FILES."""
    for of in (report.overall, *(target.counts for target in report.targets)):
        for cell in of.cells:
            for kind in Kind:
                spread = cell.spread[kind]
                yield {
                    "target": of.target,
                    "fuzzer": cell.fuzzer,
                    "kind": kind.value,
                    "repeats": cell.n,
                    "expected": cell.expected,
                    "watched_in_part": cell.partly,
                    "mean": spread and spread.mean,
                    "sd": spread and spread.sd,
                    "min": spread and spread.low,
                    "max": spread and spread.high,
                    "distinct": cell.distinct[kind],
                    "group": cell.letters if kind is Kind.TRIGGERED else "",
                    "why_none": cell.why,
                }


def times(report: Report) -> Iterator[Row]:
    """See FILES."""
    horizons = {target.name: target.horizon for target in report.targets}
    for bug in report.bugs:
        for finder in bug.finders:
            for kind in Kind:
                of = finder.times(kind)
                low, high = of.interval or (None, None)
                mean = of.restricted
                yield {
                    "target": bug.target,
                    "bug": bug.name,
                    "fuzzer": finder.fuzzer,
                    "kind": kind.value,
                    "repeats": of.n,
                    "expected": of.expected,
                    "watched_in_part": of.partly,
                    "count": of.count,
                    "seen_elsewhere_only": of.elsewhere,
                    "share_low": low,
                    "share_high": high,
                    "restricted_to": horizons[bug.target],
                    "restricted_mean": mean and mean.mean,
                    "restricted_mean_low": mean and mean.low,
                    "restricted_mean_high": mean and mean.high,
                    "why_no_interval": mean.why if mean else "no repeat is complete",
                    "median": of.curve and of.curve.median,
                    "group": finder.letters if kind is Kind.TRIGGERED else "",
                }


def curves(report: Report) -> Iterator[Row]:
    """See FILES."""
    for bug in report.bugs:
        for finder in bug.finders:
            for kind in Kind:
                of = finder.times(kind)
                if (curve := of.curve) and of.count:
                    key: Row = {"target": bug.target, "bug": bug.name, "fuzzer": finder.fuzzer, "kind": kind.value}
                    key |= {"repeats": of.n, "expected": of.expected}
                    names = ("time", "at_risk", "events", "survival", "low", "high")
                    columns = (getattr(curve, "times" if name == "time" else name) for name in names)
                    yield from ({**key, **dict(zip(names, row, strict=True))} for row in zip(*columns, strict=True))


def pairs_counts(report: Report) -> Iterator[Row]:
    """See FILES."""
    for of in (report.overall, *(target.counts for target in report.targets)):
        repeats = {cell.fuzzer: (cell.n, cell.expected) for cell in of.cells}
        for pair in of.pairs:
            yield {
                "target": of.target,
                **_both(pair, repeats),
                "u": pair.u,
                "a12": pair.a12,
                "effect": pair.effect,
                "p": pair.p,
                "p_holm": pair.adjusted,
                "exact": pair.exact,
                "why_none": pair.why,
            }


def pairs_times(report: Report) -> Iterator[Row]:
    """See FILES."""
    for bug in report.bugs:
        repeats = {finder.fuzzer: (finder.triggered.n, finder.triggered.expected) for finder in bug.finders}
        for pair in bug.pairs:
            yield {
                "target": bug.target,
                "bug": bug.name,
                **_both(pair, repeats),
                "restricted_mean_x_minus_y": bug.sooner(pair.y, pair.x),
                "z": pair.z,
                "p": pair.p,
                "p_holm": pair.adjusted,
                "exact": pair.exact,
                "why_none": pair.why,
            }


def _both(pair: CountPair | BugPair, repeats: Mapping[str, tuple[int, int]]) -> Row:
    return {
        "x": pair.x,
        "repeats_x": repeats[pair.x][0],
        "expected_x": repeats[pair.x][1],
        "y": pair.y,
        "repeats_y": repeats[pair.y][0],
        "expected_y": repeats[pair.y][1],
    }


def bugs(report: Report) -> Iterator[Row]:
    """See FILES."""
    for rank, bug in enumerate(report.bugs, 1):
        triggered, n = bug.total(Kind.TRIGGERED)
        best = bug.best
        yield {
            "rank": rank,
            "target": bug.target,
            "bug": bug.name,
            "repeats": n,
            "expected": sum(finder.triggered.expected for finder in bug.finders),
            "triggered": triggered,
            "reached": bug.total(Kind.REACHED)[0],
            "fuzzers": len(bug.finders),
            "fuzzers_triggering": sum(finder.triggered.seen for finder in bug.finders),
            "soonest": best and best.fuzzer,
            "soonest_restricted_mean": best and best.triggered.restricted and best.triggered.restricted.mean,
        }


def sole(report: Report) -> Iterator[Row]:
    """See FILES."""
    for of in report.soles:
        seen = of.finder.times(of.kind)
        yield {
            "target": of.bug.target,
            "bug": of.bug.name,
            "kind": of.kind.value,
            "also_reached_by_none_other": of.also_reached,
            "fuzzer": of.finder.fuzzer,
            "count": seen.count,
            "repeats": seen.n,
            "expected": seen.expected,
            "others_repeats": of.others,
            "others_expected": of.others_expected,
            "not_sure_because": "; ".join(of.unsure),
        }


def trials(report: Report) -> Iterator[Row]:
    """See FILES."""
    for trial in report.experiment.trials:
        yield {
            "fuzzer": trial.fuzzer,
            "target": trial.target,
            "program": trial.program,
            "run": trial.run,
            "polls": trial.polls,
            "last_stamp": trial.last_stamp,
            "host": trial.machine and trial.machine.host,
            "cpu": trial.machine and trial.machine.cpu,
            "reached": " ".join(f"{bug}:{stamp}" for bug, stamp in sorted(trial.reached.items())),
            "triggered": " ".join(f"{bug}:{stamp}" for bug, stamp in sorted(trial.triggered.items())),
            "problems": "; ".join(trial.problems),
        }


def missing(report: Report) -> Iterator[Row]:
    """See FILES."""
    names = ("fuzzer", "target", "program", "run", "reason", "message")
    return ({name: getattr(of, name) for name in names} for of in report.experiment.missing)


TABLES: dict[str, Callable[[Report], Iterator[Row]]] = {
    function.__name__: function
    for function in (counts, times, curves, pairs_counts, pairs_times, bugs, sole, trials, missing)
}
CSV_ONLY = {"curves", "trials"}
