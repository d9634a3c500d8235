"""What the templates look up in a report's figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magma_remote.report.comparable import is_apart
from magma_remote.report.repeats import Kind
from magma_remote.report.statistics_pairs import effect_word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from magma_remote.report.figures import Bug, BugPair, CountPair, Counts, Finder, Report

_COLUMNS = 12  # fuzzers side by side


def panels(bug: Bug) -> list[Finder]:
    """Fuzzers that trigger it, the soonest first."""
    able = [finder for finder in bug.finders if finder.triggered.count and finder.triggered.restricted]
    return sorted(able, key=lambda finder: finder.triggered.restricted.mean if finder.triggered.restricted else 0)


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
        digits = _digits(value)
        straight = round(value, digits)  # as it is shown: both ways round are to add up to 1
        return straight, round(1 - straight, digits)
    z = getattr(pair, "z", None)
    return z, None if z is None else -z


def _digits(a12: float) -> int:
    """Two, and more where two would show another effect than it is: 5/9 is 0.556, since 0.56 would be small."""
    return next((digits for digits in range(2, 9) if effect_word(round(a12, digits)) == effect_word(a12)), 9)


def share(value: float) -> str:
    """At least two digits behind the point, and all that it was rounded to."""
    return f"{value:.2f}" if value == round(value, 2) else f"{value:g}"


def apart(bug: Bug) -> bool:
    """Whether the log-rank test tells any two fuzzers apart on it, so that their letters say something."""
    return any(map(is_apart, bug.pairs))


def uncompared(report: Report) -> list[str]:
    """Targets that one fuzzer alone ran, where nothing can be found by only one of several."""
    return [target.name for target in report.targets if len(target.counts.cells) < 2]  # noqa: PLR2004 - two can differ


def blocks(names: Sequence[str]) -> list[Sequence[str]]:
    """In even parts that are narrow enough for a page of paper."""
    count = -(-len(names) // _COLUMNS) or 1
    size = -(-len(names) // count)
    return [names[at : at + size] for at in range(0, len(names), size)] if names else []
