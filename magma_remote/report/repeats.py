"""A fuzzer on a target: which of its repeats can be counted, and when each of them saw each bug.

The unit of all figures is a repeat of a target: the trials of all its programs with the same RUN, in which a bug is
seen when the first of them sees it. Magma's own reports count so. A repeat of which a trial is missing is not counted:
what the missing trial would have seen is not known. One that was watched for a part of its time, since the monitor of a
trial ended early, is censored there: what a sibling saw later is no time to the bug, since the other might have seen it
before.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from magma_remote.model.experiment import Experiment, Missing, TrialResult
    from magma_remote.report.statistics_survival import Flags, Floats


class Kind(StrEnum):
    """What happens to a bug: its code is run, or its condition holds."""

    REACHED = "reached"
    TRIGGERED = "triggered"


@dataclass(frozen=True, kw_only=True)
class Horizon:
    """How long a trial ran, in seconds; `known` unless it is only the last stamp that any trial left."""

    seconds: float
    known: bool
    poll: int = 5


@dataclass(frozen=True, kw_only=True)
class Group:
    """A fuzzer on a target. `ends` has the counted repeats, by RUN, with the time up to which each was watched.

    `first` are the stamps in counted repeats, kind → bug → RUN → seconds; `seen` the bugs of all trials that are
    there, so that a bug found beside a missing trial is not lost. `expected` counts the repeats that were to be; `cut`
    says of each that is counted whether it was watched for a part of its time.
    """

    fuzzer: str
    target: str
    programs: tuple[str, ...]
    expected: int
    cut: tuple[bool, ...]
    ends: Mapping[int, float]
    first: Mapping[Kind, Mapping[str, Mapping[int, float]]]
    seen: Mapping[Kind, frozenset[str]]

    @property
    def n(self) -> int:
        """How many repeats are counted."""
        return len(self.ends)

    @property
    def partly(self) -> int:
        """How many of them were watched for a part of their time."""
        return sum(self.cut)

    def counts(self, kind: Kind) -> dict[int, int]:
        """RUN → how many bugs the repeat saw."""
        return {run: sum(run in runs for runs in self.first[kind].values()) for run in self.ends}

    def times(self, kind: Kind, bug: str) -> tuple[Floats, Flags]:
        """For each counted repeat the seconds to the bug, or to its end if it was not seen by then; and which it is."""
        runs = self.first[kind].get(bug, {})
        seconds = {run: runs.get(run, inf) for run in self.ends}
        durations = np.array([min(seconds[run], end) for run, end in self.ends.items()], dtype=float)
        return durations, np.array([seconds[run] <= end for run, end in self.ends.items()], dtype=bool)


def horizon_of(experiment: Experiment) -> Horizon:
    """TIMEOUT where it is known, else the largest stamp of all."""
    if experiment.timeout is not None:
        return Horizon(seconds=experiment.timeout, known=True, poll=experiment.poll or Horizon.poll)
    stamps = [
        stamp
        for trial in experiment.trials
        for stamp in (trial.last_stamp or 0, *trial.reached.values(), *trial.triggered.values())
    ]
    return Horizon(seconds=float(max(stamps, default=0)), known=False)


def groups_of(experiment: Experiment) -> dict[tuple[str, str], Group]:
    """(fuzzer, target) → its group, for all that have a trial or miss one."""
    there: defaultdict[tuple[str, str], list[TrialResult]] = defaultdict(list)
    lost: defaultdict[tuple[str, str], list[Missing]] = defaultdict(list)
    for trial in experiment.trials:
        there[trial.fuzzer, trial.target].append(trial)
    for missing in experiment.missing:
        lost[missing.fuzzer, missing.target].append(missing)
    horizon = horizon_of(experiment)
    keys = sorted({*there, *lost})
    repeat = experiment.repeat if experiment.expected is None else None  # else what is missing is known one by one
    return {key: _group(key, there[key], lost[key], repeat or 0, horizon) for key in keys}


def _group(
    key: tuple[str, str],
    there: Iterable[TrialResult],
    lost: Iterable[Missing],
    repeat: int,
    horizon: Horizon,
) -> Group:
    programs = {trial.program for trial in there} | {missing.program for missing in lost}
    runs: defaultdict[int, list[TrialResult]] = defaultdict(list)
    for trial in there:
        runs[trial.run].append(trial)
    counted = {run: trials for run, trials in sorted(runs.items()) if len(trials) == len(programs)}
    ends = {run: min(_end(trial, horizon) for trial in trials) for run, trials in counted.items()}
    return Group(
        fuzzer=key[0],
        target=key[1],
        programs=tuple(sorted(programs)),
        expected=max(repeat, len({*runs, *(missing.run for missing in lost)})),
        cut=tuple(horizon.known and end < horizon.seconds for end in ends.values()),
        ends=ends,
        first={kind: _first(counted, kind, horizon) for kind in Kind},
        seen={kind: frozenset(bug for trial in there for bug in stamps_of(trial, kind)) for kind in Kind},
    )


def _end(trial: TrialResult, horizon: Horizon) -> float:
    """A trial that is there ran for all of a known TIMEOUT; elsewhere its last stamp is all that is known.

    Stamps fall behind the clock under load, but not by half: dumps that end in the first half of TIMEOUT end because
    nobody watched any more (model/outcome.py warns of them by the same rule).
    """
    if trial.last_stamp is None:
        return horizon.seconds
    last = float(max(trial.last_stamp, *trial.reached.values(), *trial.triggered.values(), 0))
    watched = last >= horizon.seconds / 2 or horizon.seconds <= 4 * horizon.poll
    return horizon.seconds if horizon.known and watched else last


def stamps_of(trial: TrialResult, kind: Kind) -> Mapping[str, int]:
    """Bug → first stamp of the kind."""
    return trial.reached if kind is Kind.REACHED else trial.triggered


def _first(counted: Mapping[int, Iterable[TrialResult]], kind: Kind, horizon: Horizon) -> dict[str, dict[int, float]]:
    """A stamp may be a little beyond TIMEOUT, since they drift."""
    first: defaultdict[str, dict[int, float]] = defaultdict(dict)
    for run, trials in counted.items():
        for trial in trials:
            for bug, stamp in stamps_of(trial, kind).items():
                seconds = min(float(stamp), horizon.seconds)
                first[bug][run] = min(seconds, first[bug].get(run, seconds))
    return dict(first)
