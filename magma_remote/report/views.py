"""Sentences about a report's figures, for the templates."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sized
from typing import TYPE_CHECKING

from magma_remote.report.comparable import is_apart, tested_with, told_apart
from magma_remote.report.repeats import Kind
from magma_remote.report.wording import DASH, NBSP, counted, number, of, restricted_text, short_time, whole

if TYPE_CHECKING:
    from magma_remote.report.figures import Bug, Cell, Counts, Finder, Report, Target, Times
    from magma_remote.report.statistics import Spread


_LONGEST = 1500  # characters of a setting or a fact on the page


def ranking(report: Report) -> tuple[str, ...]:
    """Fuzzers by bugs triggered per repeat on all targets, most first; those without such a mean last, by name."""
    return tuple(cell.fuzzer for cell in sorted(report.overall.cells, key=_rank))


def _rank(cell: Cell) -> tuple[float, str]:
    spread = cell.spread[Kind.TRIGGERED]
    return (-spread.mean if spread else 1.0), cell.fuzzer


def lede(report: Report) -> str:
    """How large the campaign is and what it found, in a sentence or two."""
    seen = {kind: sum(any(finder.times(kind).seen for finder in bug.finders) for bug in report.bugs) for kind in Kind}
    repeats = max((cell.expected for target in report.targets for cell in target.counts.cells), default=0)
    size = (
        f"{counted(len(report.fuzzers), 'fuzzer')} on {counted(len(report.targets), 'target')}, "
        f"{counted(repeats, 'repeat')}: "
    )
    there, lost = len(report.experiment.trials), len(report.experiment.missing)
    if not there:
        return f"{size}none of the {whole(lost)} trials is here, so nothing is known of what they found."
    found = f"{counted(seen[Kind.TRIGGERED], 'bug')} triggered of {whole(seen[Kind.REACHED])} reached"
    return f"{size}{found}" + (f", in the {of(there, there + lost)} trials that are here." if lost else ".")


def leader(report: Report) -> str:
    """Who triggers most bugs, and who is not told apart from it; empty where nobody can be compared."""
    cells = [cell for cell in report.overall.cells if cell.spread[Kind.TRIGGERED]]
    if len(cells) < 2:  # noqa: PLR2004 - a comparison takes two
        return ""
    first = min(cells, key=_rank)
    spread = first.spread[Kind.TRIGGERED]
    if spread is None or not spread.mean:
        return ""
    tested = tested_with(report.overall.pairs, first.fuzzer)
    apart = told_apart(report.overall.pairs, first.fuzzer)
    others = [cell for cell in sorted(cells, key=_rank) if cell.fuzzer in tested - apart]
    alike = [f"{cell.fuzzer}{_short(cell)}" for cell in others if _rank(cell)[0] == _rank(first)[0]]
    level = [f"{cell.fuzzer}{_short(cell)}" for cell in others if _rank(cell)[0] != _rank(first)[0]]
    sd = f"{NBSP}±{NBSP}{number(spread.sd)}" if spread.sd is not None else ""
    text = f"Most bugs per repeat: {first.fuzzer}, {number(spread.mean)}{sd}{_short(first)}"
    if alike:
        text += f"; as many: {', '.join(alike)}"
    if level:
        text += f"; not told apart from it: {', '.join(level)}"
    elif apart and not alike:
        text += ", told apart from all that it was compared with"
    left_out = [
        f"{cell.fuzzer} ({cell.why or 'it ran other programs'})"
        for cell in report.overall.cells
        if cell is not first and cell.fuzzer not in tested
    ]
    return f"{text}." + (f" Not compared with it: {'; '.join(left_out)}." if left_out else "")


def _short(cell: Cell) -> str:
    """` (9 of 10 repeats)` where some are not there, or ` (10 of 10 repeats, 2 watched in part)`; else empty."""
    if cell.n == cell.expected and not cell.partly:
        return ""
    partly = f", {whole(cell.partly)} watched in part" if cell.partly else ""
    return f" ({of(cell.n, cell.expected)} repeats{partly})"


def pairs_line(counts: Counts) -> str:
    """`12 of 45 pairs differ; repeats counted: afl 9 of 10`."""
    pairs = [pair for pair in counts.pairs if pair.p is not None]
    if not pairs:
        return "no two were compared"
    text = f"{sum(map(is_apart, pairs))} of {counted(len(pairs), 'pair')} differ" + ("" if len(pairs) > 1 else "s")
    return text + _counted_repeats(counts)


def distinct(cell: Cell, kind: str) -> str:
    """Different bugs in all trials; a dash where nothing was found and no repeat is there to have found nothing."""
    count = cell.distinct[Kind(kind)]
    return whole(count) if cell.n or count else DASH


def found_line(target: Target) -> str:
    """`7 bugs triggered of 9 reached; repeats: afl 9 of 10`."""
    triggered = sum(any(finder.triggered.seen for finder in bug.finders) for bug in target.bugs)
    text = f"{counted(triggered, 'bug')} triggered of {len(target.bugs)} reached"
    return (text if target.trials else "no trial is here") + _counted_repeats(target.counts)


def _counted_repeats(counts: Counts) -> str:
    """Those of each fuzzer that lacks some."""
    lacking = [f"{cell.fuzzer} {of(cell.n, cell.expected)}" for cell in counts.cells if cell.n < cell.expected]
    others = ", all of the others" if len(lacking) < len(counts.cells) else ""
    return f"; repeats counted: {', '.join(lacking)}{others}" if lacking else ""


def nothing_found(target: Target) -> str:
    """What is known where no bug of a target was reached."""
    if not target.trials:
        return "No trial is here: nothing is known of what it found."
    of_all = f" in the {of(target.trials, target.expected)} trials that are here" * (target.trials < target.expected)
    return f"No fuzzer reached a bug{of_all}."


def bug_line(bug: Bug) -> str:
    """How often `bug` was triggered, and by whom not."""
    count, n = bug.total(Kind.TRIGGERED)
    text = f"Triggered in {of(count, n)} repeats"
    text += f" of the {whole(planned(bug))} planned" if planned(bug) > n else ""
    text += f", {whole(partly(bug))} of them watched in part" if partly(bug) else ""
    without: dict[str, list[str]] = {}
    for finder in bug.finders:
        if not finder.triggered.count:
            without.setdefault(_else(finder), []).append(finder.fuzzer)
    parts = [f"{', '.join(names)} ({why})" for why, names in without.items()]
    return text + (f". Not by {'; '.join(parts)}." if parts else ", by every fuzzer.")


def _else(finder: Finder) -> str:
    times = finder.reached
    if not times.n:
        return "no repeat is complete"
    if finder.triggered.elsewhere:
        return f"0 of {times.n}; elsewhere, yes"
    return f"reached in {count_text(times)}" if times.count else f"not reached in {whole(times.n)}{_planned(times)}"


def reached_line(bug: Bug) -> str:
    """Who came how often to a bug that no counted repeat triggered."""
    who = [
        f"{finder.fuzzer} {count_text(finder.reached)}"
        + (
            " (triggered in a repeat that is not complete, or after it was watched)"
            if finder.triggered.elsewhere
            else ""
        )
        for finder in bug.finders
        if finder.reached.seen or finder.triggered.seen
    ]
    return "; ".join(who)


def count_text(times: Times) -> str:
    """`9 of 10` repeats, and how many were planned where they are not all there."""
    return f"{of(times.count, times.n)}{_planned(times)}"


def _planned(times: Times) -> str:
    planned = f", {whole(times.expected)} planned" if times.n < times.expected else ""
    return planned + (f", {whole(times.partly)} watched in part" if times.partly else "")


def extremes(spread: Spread) -> str:
    """From the least to the most, or the one number that all are."""
    ends = f"{whole(spread.low)} {DASH} {whole(spread.high)}"
    return ends if spread.low < spread.high else f"always {whole(spread.low)}"


def panel_label(finder: Finder, bug: Bug) -> str:
    """A panel in words."""
    return (
        f"{finder.fuzzer} on {bug.name}: triggered in {count_text(finder.triggered)} repeats, restricted mean "
        f"{restricted_text(finder.triggered)}; reached in {count_text(finder.reached)}"
    )


def partly(bug: Bug) -> int:
    """How many counted repeats of all fuzzers were watched for a part of their time."""
    return sum(finder.triggered.partly for finder in bug.finders)


def planned(bug: Bug) -> int:
    """How many repeats of all fuzzers were to be."""
    return sum(finder.triggered.expected for finder in bug.finders)


def difference(bug: Bug, x: str, y: str) -> str:
    """By how much the restricted mean of x is sooner or later than that of y; a dash where one has none."""
    seconds = bug.sooner(x, y)
    if seconds is None:
        return DASH
    return f"{short_time(abs(seconds))} {'sooner' if seconds > 0 else 'later'}" if seconds else "alike"


def plain(value: object, where: str) -> str:
    """A setting or a fact as a person would write it; of one that would fill pages it is said `where` it is whole."""
    text = _plain(value)
    if len(text) <= _LONGEST:
        return text
    if isinstance(value, Sized) and not isinstance(value, str):
        return f"{len(value)} entr{'y' if len(value) == 1 else 'ies'}: see {where} in data/report.json"
    return f"{text[:_LONGEST]}… (whole under {where} in data/report.json)"


def _plain(value: object) -> str:
    if value is None:
        return "not known"
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_plain(of)}" for key, of in value.items()) or DASH
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value)) or DASH
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
