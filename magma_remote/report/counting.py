"""Bugs per repeat of each fuzzer, and fuzzers against each other on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

from magma_remote.report.figures import Cell, CountPair, Counts
from magma_remote.report.repeats import Kind
from magma_remote.report.statistics import ALPHA, describe, holm
from magma_remote.report.statistics_pairs import effect_word, letters, mann_whitney

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from magma_remote.report.repeats import Group


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """A fuzzer's bugs in each counted repeat, and what it `ran` in it: other programs cannot be compared."""

    ran: object
    counts: Sequence[int]


def counts_of(target: str, groups: Sequence[Group]) -> Counts:
    """Fuzzers on one target."""
    cells = [
        Cell(
            fuzzer=group.fuzzer,
            n=group.n,
            expected=group.expected,
            spread={kind: describe(list(group.counts(kind).values())) for kind in Kind},
            distinct={kind: len(group.seen[kind]) for kind in Kind},
            why="" if group.n else "no repeat is complete",
        )
        for group in groups
    ]
    samples = {
        group.fuzzer: _Sample(ran=group.programs, counts=list(group.counts(Kind.TRIGGERED).values()))
        for group in groups
    }
    return _compared(target, cells, samples)


def overall_counts(groups: Mapping[tuple[str, str], Group]) -> Counts:
    """Fuzzers on all targets together: a repeat counts where it is complete on each of them."""
    targets = sorted({target for _, target in groups})
    cells, samples = [], {}
    for fuzzer in sorted({fuzzer for fuzzer, _ in groups}):
        own = [groups[fuzzer, target] for target in targets if (fuzzer, target) in groups]
        cell, counts = _overall_cell(fuzzer, own, targets)
        cells.append(cell)
        samples[fuzzer] = _Sample(ran=[(group.target, group.programs) for group in own], counts=counts)
    return _compared("", cells, samples)


def _overall_cell(fuzzer: str, own: Sequence[Group], targets: Sequence[str]) -> tuple[Cell, list[int]]:
    runs = set.intersection(*(set(group.ends) for group in own)) if len(own) == len(targets) else set()
    counts = {kind: [sum(of[run] for of in _by_run(own, kind)) for run in sorted(runs)] for kind in Kind}
    left_out = [target for target in targets if target not in {group.target for group in own}]
    why = f"it did not run on {', '.join(left_out)}" if left_out else "" if runs else "no repeat is complete everywhere"
    cell = Cell(
        fuzzer=fuzzer,
        n=len(runs),
        expected=max(group.expected for group in own),
        spread={kind: describe(counts[kind]) for kind in Kind},
        distinct={kind: sum(len(group.seen[kind]) for group in own) for kind in Kind},
        why=why,
    )
    return cell, counts[Kind.TRIGGERED]


def _by_run(own: Sequence[Group], kind: Kind) -> list[dict[int, int]]:
    return [group.counts(kind) for group in own]


def _compared(target: str, cells: Sequence[Cell], samples: Mapping[str, _Sample]) -> Counts:
    """With each pair of fuzzers tested on bugs triggered; the pairs are one family."""
    pairs = [_pair(x.fuzzer, samples[x.fuzzer], y.fuzzer, samples[y.fuzzer]) for x, y in combinations(cells, 2)]
    adjusted = iter(holm([pair.p for pair in pairs if pair.p is not None]))
    pairs = [replace(pair, adjusted=next(adjusted)) if pair.p is not None else pair for pair in pairs]
    differ = {frozenset((pair.x, pair.y)) for pair in pairs if pair.adjusted is not None and pair.adjusted < ALPHA}
    tested = sorted((cell for cell in cells if cell.n), key=lambda cell: -_mean(cell))
    given = letters([cell.fuzzer for cell in tested], differ)
    lettered = (replace(cell, letters=given.get(cell.fuzzer, "")) for cell in cells)
    return Counts(target=target, cells=tuple(lettered), pairs=tuple(pairs))


def _mean(cell: Cell) -> float:
    spread = cell.spread[Kind.TRIGGERED]
    return spread.mean if spread else 0.0


def _pair(x: str, of_x: _Sample, y: str, of_y: _Sample) -> CountPair:
    if not (of_x.counts and of_y.counts):
        return CountPair(x=x, y=y, why="no repeat is complete")
    if of_x.ran != of_y.ran:
        return CountPair(x=x, y=y, why="they ran different programs")
    ranked = mann_whitney(of_x.counts, of_y.counts)
    return CountPair(
        x=x,
        y=y,
        u=ranked.u,
        a12=ranked.a12,
        effect=effect_word(ranked.a12),
        p=ranked.p,
        exact=ranked.exact,
    )
