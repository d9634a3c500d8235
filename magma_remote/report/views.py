"""What the templates ask for: sentences and look-ups over a report's figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sized
from typing import TYPE_CHECKING

from magma_remote.report.repeats import Kind
from magma_remote.report.statistics import ALPHA, share_interval
from magma_remote.report.wording import DASH, NBSP, counted, number, of, percent, restricted_text, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from magma_remote.report.figures import Bug, BugPair, Cell, CountPair, Counts, Finder, Report, Target, Times
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
    return (
        f"{counted(len(report.fuzzers), 'fuzzer')} on {counted(len(report.targets), 'target')}, "
        f"{counted(repeats, 'repeat')}: {counted(seen[Kind.TRIGGERED], 'bug')} triggered of "
        f"{whole(seen[Kind.REACHED])} reached."
    )


def leader(report: Report) -> str:
    """Who triggers most bugs, and who is not told apart from it; empty where nobody can be compared."""
    cells = [cell for cell in report.overall.cells if cell.spread[Kind.TRIGGERED]]
    if len(cells) < 2:  # noqa: PLR2004 - a comparison takes two
        return ""
    first = min(cells, key=_rank)
    spread = first.spread[Kind.TRIGGERED]
    if spread is None or not spread.mean:
        return ""
    close = [cell.fuzzer for cell in sorted(cells, key=_rank) if cell is not first]
    level = [fuzzer for fuzzer in close if not _differ(report.overall, first.fuzzer, fuzzer)]
    sd = f"{NBSP}±{NBSP}{number(spread.sd)}" if spread.sd is not None else ""
    counted = f" ({of(first.n, first.expected)} repeats)" if first.n < first.expected else ""
    text = f"Most bugs per repeat: {first.fuzzer}, {number(spread.mean)}{sd}{counted}"
    text += f"; not told apart from it: {', '.join(level)}." if level else ", told apart from every other."
    left_out = [f"{cell.fuzzer} ({cell.why})" for cell in report.overall.cells if not cell.spread[Kind.TRIGGERED]]
    return text + (f" Not in this comparison: {'; '.join(left_out)}." if left_out else "")


def _told_apart(counts: Counts) -> list[CountPair]:
    return [pair for pair in counts.pairs if pair.adjusted is not None and pair.adjusted < ALPHA]


def _differ(counts: Counts, x: str, y: str) -> bool:
    return any({pair.x, pair.y} == {x, y} for pair in _told_apart(counts))


def told_apart(counts: Counts) -> str:
    """`12 of 45 pairs differ`."""
    return f"{len(_told_apart(counts))} of {counted(len(counts.pairs), 'pair')} differ"


def distinct(cell: Cell, kind: str) -> str:
    """Different bugs in all trials; a dash where nothing was found and no repeat is there to have found nothing."""
    count = cell.distinct[Kind(kind)]
    return whole(count) if cell.n or count else DASH


def found_line(target: Target) -> str:
    """`7 bugs triggered of 9 reached; repeats: afl 9 of 10`."""
    triggered = sum(any(finder.triggered.seen for finder in bug.finders) for bug in target.bugs)
    text = f"{counted(triggered, 'bug')} triggered of {len(target.bugs)} reached"
    short = [f"{cell.fuzzer} {of(cell.n, cell.expected)}" for cell in target.counts.cells if cell.n < cell.expected]
    return text + (f"; repeats counted: {', '.join(short)}, all of the others" if short else "")


def bug_line(bug: Bug) -> str:
    """How often `bug` was triggered, and by whom not."""
    count, n = bug.total(Kind.TRIGGERED)
    text = f"Triggered in {of(count, n)} repeats ({interval(count, n)})"
    text += f" of the {whole(planned(bug))} planned" if planned(bug) > n else ""
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
        return f"0 of {times.n}; in an incomplete repeat, yes"
    return f"reached in {of(times.count, times.n)}" if times.count else f"not reached in {times.n}"


def reached_line(bug: Bug) -> str:
    """Who came how often to a bug that no counted repeat triggered."""
    who = [
        f"{finder.fuzzer} {of(finder.reached.count, finder.reached.n)}"
        + (" (triggered in an incomplete repeat)" if finder.triggered.elsewhere else "")
        for finder in bug.finders
        if finder.reached.seen or finder.triggered.seen
    ]
    return "; ".join(who)


def count_text(times: Times) -> str:
    """`9 of 10 repeats`, and how many were planned where they are not all there."""
    return f"{of(times.count, times.n)}" + (f", {times.expected} planned" if times.n < times.expected else "")


def extremes(spread: Spread) -> str:
    """From the least to the most, or the one number that all are."""
    ends = f"{whole(spread.low)} {DASH} {whole(spread.high)}"
    return ends if spread.low < spread.high else f"always {whole(spread.low)}"


def panels(bug: Bug) -> list[Finder]:
    """Fuzzers that trigger it, the soonest first."""
    able = [finder for finder in bug.finders if finder.triggered.count and finder.triggered.restricted]
    return sorted(able, key=lambda finder: finder.triggered.restricted.mean if finder.triggered.restricted else 0)


def panel_label(finder: Finder, bug: Bug) -> str:
    """A panel in words."""
    return (
        f"{finder.fuzzer} on {bug.name}: triggered in {count_text(finder.triggered)} repeats, restricted mean "
        f"{restricted_text(finder.triggered)}; reached in {count_text(finder.reached)}"
    )


def interval(count: int, n: int) -> str:
    """Wilson's, in percent."""
    ends = share_interval(count, n)
    return f"{percent(ends[0]).removesuffix(' %')} {DASH} {percent(ends[1])}" if ends else DASH


def planned(bug: Bug) -> int:
    """How many repeats of all fuzzers were to be."""
    return sum(finder.triggered.expected for finder in bug.finders)


def finders_of(bug: Bug, kind: str) -> int:
    """How many fuzzers saw it in any trial."""
    return sum(finder.times(Kind(kind)).seen for finder in bug.finders)


def by_fuzzer(bug: Bug) -> dict[str, Finder]:
    """Its finders by name."""
    return {finder.fuzzer: finder for finder in bug.finders}


def names_in(bug: Bug, order: Sequence[str]) -> list[str]:
    """Its fuzzers in the order given."""
    return [fuzzer for fuzzer in order if fuzzer in by_fuzzer(bug)]


def by_pair(of_pairs: Counts | Bug) -> dict[tuple[str, str], tuple[float | None, CountPair | BugPair]]:
    """(x, y) → A12 or z of x against y, and the pair; both ways round."""
    found: dict[tuple[str, str], tuple[float | None, CountPair | BugPair]] = {}
    for pair in of_pairs.pairs:
        straight, turned = _both_ways(pair)
        found[pair.x, pair.y] = straight, pair
        found[pair.y, pair.x] = turned, pair
    return found


def _both_ways(pair: CountPair | BugPair) -> tuple[float | None, float | None]:
    value = getattr(pair, "a12", None)
    if value is not None:
        return value, 1 - value
    z = getattr(pair, "z", None)
    return z, None if z is None else -z


def apart(bug: Bug) -> bool:
    """Whether the log-rank test tells any two fuzzers apart on it, so that their letters say something."""
    return any(pair.adjusted is not None and pair.adjusted < ALPHA for pair in bug.pairs)


def plain(value: object) -> str:
    """A setting or a fact as a person would write it; one that would fill pages is counted."""
    text = _plain(value)
    if len(text) <= _LONGEST or not isinstance(value, Sized):
        return text
    return f"{len(value)} entries: see facts in data/report.json"


def _plain(value: object) -> str:
    if value is None:
        return "not known"
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_plain(of)}" for key, of in value.items()) or DASH
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value)) or DASH
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
