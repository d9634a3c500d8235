"""Bugs per repeat of each fuzzer, and fuzzers against each other on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

from magma_remote.report.comparable import corrected, lettered, told_apart
from magma_remote.report.figures import Cell, CountPair, Counts
from magma_remote.report.repeats import Kind
from magma_remote.report.statistics import describe
from magma_remote.report.statistics_pairs import effect_word, mann_whitney

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from magma_remote.report.repeats import Group


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """A fuzzer's bugs in each counted repeat, and what it `ran` in it: other programs cannot be compared."""

    ran: Hashable
    counts: Sequence[int]


def counts_of(target: str, groups: Sequence[Group]) -> Counts:
    """Fuzzers on one target."""
    cells = [
        Cell(
            fuzzer=group.fuzzer,
            n=group.n,
            expected=group.expected,
            partly=group.partly,
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
    """Fuzzers on all targets together.

    RUN ties nothing together across targets: the first complete repeat of each is added up, then the second, as far as
    the target with the fewest has any.
    """
    targets = sorted({target for _, target in groups})
    cells, samples = [], {}
    for fuzzer in sorted({fuzzer for fuzzer, _ in groups}):
        own = [groups[fuzzer, target] for target in targets if (fuzzer, target) in groups]
        cell, counts = _overall_cell(fuzzer, own, targets)
        cells.append(cell)
        samples[fuzzer] = _Sample(ran=tuple((group.target, group.programs) for group in own), counts=counts)
    return _compared("", cells, samples)


def _overall_cell(fuzzer: str, own: Sequence[Group], targets: Sequence[str]) -> tuple[Cell, list[int]]:
    left_out = [target for target in targets if target not in {group.target for group in own}]
    bare = [group.target for group in own if not group.n]
    n = 0 if left_out else min(group.n for group in own)
    counts = {kind: [sum(repeat) for repeat in zip(*_counts(own, kind), strict=False)][:n] for kind in Kind}
    if left_out:
        why = f"it did not run on {', '.join(left_out)}"
    else:
        why = f"no repeat is complete on {', '.join(bare)}" if bare else ""
    cell = Cell(
        fuzzer=fuzzer,
        n=n,
        expected=max(group.expected for group in own),
        partly=sum(map(any, list(zip(*(group.cut for group in own), strict=False))[:n])),
        spread={kind: describe(counts[kind]) for kind in Kind},
        distinct={kind: sum(len(group.seen[kind]) for group in own) for kind in Kind},
        why=why,
    )
    return cell, counts[Kind.TRIGGERED]


def _counts(own: Sequence[Group], kind: Kind) -> list[list[int]]:
    return [list(group.counts(kind).values()) for group in own]


def _compared(target: str, cells: Sequence[Cell], samples: Mapping[str, _Sample]) -> Counts:
    """With each pair of fuzzers tested on bugs triggered; the pairs are one family."""
    pairs = corrected([_pair(x, samples[x.fuzzer], y, samples[y.fuzzer]) for x, y in combinations(cells, 2)])
    ranked = sorted((cell for cell in cells if cell.n), key=lambda cell: -_mean(cell))
    letters = lettered([(cell.fuzzer, samples[cell.fuzzer].ran) for cell in ranked], pairs)
    best = next((cell for cell in ranked if cell.fuzzer in letters and _mean(cell)), None)
    others = told_apart(pairs, best.fuzzer) if best else set()
    top = {fuzzer for fuzzer in letters if best and fuzzer not in others}
    done = (replace(cell, letters=letters.get(cell.fuzzer, ""), top=cell.fuzzer in top) for cell in cells)
    return Counts(target=target, cells=tuple(done), pairs=tuple(pairs))


def _mean(cell: Cell) -> float:
    spread = cell.spread[Kind.TRIGGERED]
    return spread.mean if spread else 0.0


def _pair(x: Cell, of_x: _Sample, y: Cell, of_y: _Sample) -> CountPair:
    if not (of_x.counts and of_y.counts):
        return CountPair(x=x.fuzzer, y=y.fuzzer, why="; ".join(dict.fromkeys(filter(None, (x.why, y.why)))))
    if of_x.ran != of_y.ran:
        return CountPair(x=x.fuzzer, y=y.fuzzer, why="they ran different programs")
    ranked = mann_whitney(of_x.counts, of_y.counts)
    return CountPair(
        x=x.fuzzer,
        y=y.fuzzer,
        u=ranked.u,
        a12=ranked.a12,
        effect=effect_word(ranked.a12),
        p=ranked.p,
        exact=ranked.exact,
    )
