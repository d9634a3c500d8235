"""From trials to figures: pure, without a form. Families of tests are corrected by Holm, target by target."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING

from magma_remote.report.counting import counts_of, overall_counts
from magma_remote.report.figures import Bug, BugPair, Finder, Report, Sole, Target, Times
from magma_remote.report.repeats import Kind, groups_of, horizon_of
from magma_remote.report.statistics import ALPHA, holm, share_interval
from magma_remote.report.statistics_pairs import letters, log_rank
from magma_remote.report.statistics_survival import kaplan_meier, restricted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from magma_remote.model.experiment import Experiment
    from magma_remote.report.repeats import Group


def analyse(experiment: Experiment, on_progress: Callable[[int, int], None] = lambda _done, _all: None) -> Report:
    """All figures of `experiment`; `on_progress` is told how many targets of how many are done."""
    groups = groups_of(experiment)
    horizon = horizon_of(experiment)
    names = sorted({target for _, target in groups})
    targets = []
    for done, name in enumerate(names):
        on_progress(done, len(names))
        targets.append(_target(name, [group for (_, of), group in groups.items() if of == name], horizon.seconds))
    on_progress(len(names), len(names))
    return Report(
        experiment=experiment,
        horizon=horizon,
        fuzzers=tuple(sorted({fuzzer for fuzzer, _ in groups})),
        targets=tuple(targets),
        overall=overall_counts(groups),
        soles=tuple(sole for target in targets for bug in target.bugs if (sole := _sole(bug))),
    )


def _target(name: str, groups: Sequence[Group], horizon: float) -> Target:
    names = sorted({bug for group in groups for kind in Kind for bug in group.seen[kind]})
    bugs = _with_pairs([_bug(bug, groups, horizon) for bug in names], groups)
    return Target(
        name=name,
        programs=tuple(sorted({program for group in groups for program in group.programs})),
        counts=counts_of(name, groups),
        bugs=tuple(sorted(bugs, key=lambda bug: bug.difficulty)),
        notes=tuple(_notes(groups)),
    )


def _notes(groups: Sequence[Group]) -> list[str]:
    """Fuzzers that ran other programs of a target cannot be held against each other there."""
    ran = {group.programs for group in groups}
    if len(ran) == 1:
        return []
    return [
        "Fuzzers ran different programs here, so their figures do not compare: "
        + "; ".join(f"{group.fuzzer}: {', '.join(group.programs)}" for group in groups)
    ]


def _bug(name: str, groups: Sequence[Group], horizon: float) -> Bug:
    times = partial(_times, name=name, horizon=horizon)
    finders = (
        Finder(fuzzer=group.fuzzer, reached=times(group, Kind.REACHED), triggered=times(group, Kind.TRIGGERED))
        for group in groups
    )
    return Bug(target=groups[0].target, name=name, finders=tuple(finders))


def _times(group: Group, kind: Kind, *, name: str, horizon: float) -> Times:
    durations, observed = group.times(kind, name)
    count = int(observed.sum())
    curve = kaplan_meier(durations, observed) if group.n else None
    return Times(
        kind=kind,
        n=group.n,
        expected=group.expected,
        count=count,
        interval=share_interval(count, group.n),
        curve=curve,
        restricted=restricted(curve, group.n, horizon) if curve else None,
        elsewhere=not count and name in group.seen[kind],
    )


def _with_pairs(bugs: Sequence[Bug], groups: Sequence[Group]) -> list[Bug]:
    """Every bug with its log-rank tests, all of them on this target being one family."""
    tested = [(bug, [_pair(bug.name, x, y) for x, y in combinations(groups, 2)]) for bug in bugs]
    adjusted = iter(holm([pair.p for _, pairs in tested for pair in pairs if pair.p is not None]))
    return [
        _lettered(bug, [replace(pair, adjusted=next(adjusted)) if pair.p is not None else pair for pair in pairs])
        for bug, pairs in tested
    ]


def _pair(bug: str, x: Group, y: Group) -> BugPair:
    if not (x.n and y.n):
        return BugPair(x=x.fuzzer, y=y.fuzzer, why="no repeat is complete")
    if x.programs != y.programs:
        return BugPair(x=x.fuzzer, y=y.fuzzer, why="they ran different programs")
    result = log_rank(*x.times(Kind.TRIGGERED, bug), *y.times(Kind.TRIGGERED, bug))
    if result is None:
        return BugPair(x=x.fuzzer, y=y.fuzzer, why="neither triggered it")
    return BugPair(x=x.fuzzer, y=y.fuzzer, z=result.z, p=result.p, exact=result.exact)


def _lettered(bug: Bug, pairs: Sequence[BugPair]) -> Bug:
    """Letters in the order of restricted means, for the fuzzers that have any repeat to be tested on."""
    tested = [finder for finder in bug.finders if finder.triggered.restricted]
    tested.sort(key=lambda finder: finder.triggered.restricted.mean if finder.triggered.restricted else 0.0)
    differ = {frozenset((pair.x, pair.y)) for pair in pairs if pair.adjusted is not None and pair.adjusted < ALPHA}
    given = letters([finder.fuzzer for finder in tested], differ)
    finders = (replace(finder, letters=given.get(finder.fuzzer, "")) for finder in bug.finders)
    return replace(bug, finders=tuple(finders), pairs=tuple(pairs))


def _sole(bug: Bug) -> Sole | None:
    """The one fuzzer that saw `bug`, if others ran there at all."""
    able = {kind: [finder for finder in bug.finders if finder.times(kind).seen] for kind in Kind}
    kind = Kind.TRIGGERED if able[Kind.TRIGGERED] else Kind.REACHED
    if len(able[kind]) != 1 or len(bug.finders) == 1:
        return None
    finder = able[kind][0]
    others = [other for other in bug.finders if other is not finder]
    return Sole(
        bug=bug,
        kind=kind,
        finder=finder,
        also_reached=len(able[Kind.REACHED]) == 1,
        others=sum(other.times(kind).n for other in others),
        unsure=tuple(other.fuzzer for other in others if other.times(kind).n < other.times(kind).expected),
    )
