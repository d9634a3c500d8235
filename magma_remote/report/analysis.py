"""From trials to figures: pure, without a form. Families of tests are corrected by Holm, target by target."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING

from magma_remote.report.comparable import corrected, lettered
from magma_remote.report.counting import counts_of, overall_counts
from magma_remote.report.figures import Bug, BugPair, Finder, Report, Sole, Target, Times
from magma_remote.report.repeats import Kind, groups_of, horizon_of
from magma_remote.report.statistics import share_interval
from magma_remote.report.statistics_pairs import log_rank
from magma_remote.report.statistics_survival import kaplan_meier, restricted
from magma_remote.report.wording import counted, short_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from magma_remote.model.experiment import Experiment
    from magma_remote.report.repeats import Group, Horizon


_SLACK = 0.01  # stamps drift


def analyse(experiment: Experiment, on_progress: Callable[[int, int], None] = lambda _done, _all: None) -> Report:
    """All figures of `experiment`; `on_progress` is told how many targets of how many are done."""
    groups = groups_of(experiment)
    horizon = horizon_of(experiment)
    names = sorted({target for _, target in groups})
    targets = []
    for done, name in enumerate(names):
        on_progress(done, len(names))
        targets.append(_target(name, [group for (_, of), group in groups.items() if of == name], experiment, horizon))
    on_progress(len(names), len(names))
    return Report(
        experiment=experiment,
        horizon=horizon,
        fuzzers=tuple(sorted({fuzzer for fuzzer, _ in groups})),
        targets=tuple(targets),
        overall=overall_counts(groups),
        soles=tuple(sole for target in targets for bug in target.bugs if (sole := _sole(bug))),
    )


def _target(name: str, groups: Sequence[Group], experiment: Experiment, horizon: Horizon) -> Target:
    watched = _watched(groups, horizon)
    trials = sum(trial.target == name for trial in experiment.trials)
    names = sorted({bug for group in groups for kind in Kind for bug in group.seen[kind]})
    bugs = _with_pairs([_bug(bug, groups, watched) for bug in names], groups)
    return Target(
        name=name,
        programs=tuple(sorted({program for group in groups for program in group.programs})),
        trials=trials,
        expected=trials + sum(missing.target == name for missing in experiment.missing),
        horizon=watched,
        counts=counts_of(name, groups),
        bugs=tuple(sorted(bugs, key=lambda bug: bug.difficulty)),
        notes=tuple(_notes(groups, watched, horizon)),
    )


def _watched(groups: Sequence[Group], horizon: Horizon) -> float:
    """Up to when every fuzzer had a repeat that was watched: beyond that no curve of it is known."""
    return min([horizon.seconds, *(max(group.ends.values()) for group in groups if group.n)])


def _notes(groups: Sequence[Group], watched: float, horizon: Horizon) -> Iterator[str]:
    if len({group.programs for group in groups}) > 1:
        ran = "; ".join(f"{group.fuzzer}: {', '.join(group.programs)}" for group in groups)
        yield f"Fuzzers ran different programs here, so their figures do not compare: {ran}"
    if watched < horizon.seconds * (1 - _SLACK):
        short = ", ".join(group.fuzzer for group in groups if group.n and max(group.ends.values()) <= watched)
        yield f"No repeat of {short} was watched beyond {short_time(watched)}: restricted means go up to there"


def _bug(name: str, groups: Sequence[Group], horizon: float) -> Bug:
    times = partial(_times, name=name, horizon=horizon)
    finders = (
        Finder(
            fuzzer=group.fuzzer,
            programs=group.programs,
            reached=times(group, Kind.REACHED),
            triggered=times(group, Kind.TRIGGERED),
        )
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
        partly=group.partly,
        count=count,
        interval=share_interval(count, group.n),
        curve=curve,
        restricted=restricted(curve, group.n, horizon) if curve else None,
        elsewhere=not count and name in group.seen[kind],
    )


def _with_pairs(bugs: Sequence[Bug], groups: Sequence[Group]) -> list[Bug]:
    """Every bug with its log-rank tests, all of them on this target being one family."""
    both = list(combinations(groups, 2))
    family = iter(corrected([_pair(bug.name, x, y) for bug in bugs for x, y in both]))
    return [_lettered(bug, [next(family) for _ in both]) for bug in bugs]


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
    given = lettered([(finder.fuzzer, finder.programs) for finder in tested], pairs)
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
        others_expected=sum(other.times(kind).expected for other in others),
        unsure=tuple(filter(None, (_unsure(other, finder, kind) for other in others))),
    )


def _unsure(other: Finder, finder: Finder, kind: Kind) -> str:
    """Why `other` might have seen what only `finder` is known to have seen; empty where nothing speaks for it."""
    times = other.times(kind)
    reasons = (
        (times.n < times.expected, f"{counted(times.expected - times.n, 'repeat')} missing"),
        (bool(times.partly), f"{counted(times.partly, 'repeat')} watched in part"),
        (not set(finder.programs) <= set(other.programs), "ran other programs"),
    )
    told = [reason for holds, reason in reasons if holds]
    return f"{other.fuzzer}: {', '.join(told)}" if told else ""
