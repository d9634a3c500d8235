"""Which fuzzers were tested against each other, and what may be said of those: letters, and who is told apart."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from magma_remote.report.figures import BugPair, CountPair
from magma_remote.report.statistics import ALPHA, holm
from magma_remote.report.statistics_pairs import letters

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Sequence

P = TypeVar("P", CountPair, BugPair)


def is_apart(pair: CountPair | BugPair) -> bool:
    """Whether its test tells two fuzzers apart."""
    return pair.adjusted is not None and pair.adjusted < ALPHA


def corrected(family: Sequence[P]) -> list[P]:
    """The pairs of one family, in their order, those that were tested with their p corrected by Holm."""
    adjusted = iter(holm([pair.p for pair in family if pair.p is not None]))
    return [replace(pair, adjusted=next(adjusted)) if pair.p is not None else pair for pair in family]


def told_apart(pairs: Iterable[CountPair | BugPair], fuzzer: str) -> set[str]:
    """Those that a test tells apart from one."""
    return _others(filter(is_apart, pairs), fuzzer)


def tested_with(pairs: Iterable[CountPair | BugPair], fuzzer: str) -> set[str]:
    """Those that were tested against one."""
    return _others((pair for pair in pairs if pair.p is not None), fuzzer)


def _others(pairs: Iterable[CountPair | BugPair], fuzzer: str) -> set[str]:
    return {pair.y if pair.x == fuzzer else pair.x for pair in pairs if fuzzer in {pair.x, pair.y}}


def lettered(ranked: Sequence[tuple[str, Hashable]], pairs: Collection[CountPair | BugPair]) -> dict[str, str]:
    """Letters of fuzzers, given with what each `ran` in the order in which letters are given out.

    Only those that ran the same can share or not share one: of several such groups the largest has letters, the first
    of two as large. Where nobody was tested nobody has.
    """
    sizes = Counter(ran for _, ran in ranked)
    most = max(sizes, key=sizes.__getitem__, default=None)
    names = [fuzzer for fuzzer, ran in ranked if ran == most]
    among = [pair for pair in pairs if pair.p is not None and {pair.x, pair.y} <= set(names)]
    return letters(names, {frozenset((pair.x, pair.y)) for pair in among if is_apart(pair)}) if among else {}
