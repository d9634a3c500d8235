"""Which trials a WORKDIR is to hold, as far as anybody wrote it down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .experiment import Trial


@dataclass(frozen=True, kw_only=True)
class Why:
    """Why a trial has no result: `reason` as in Missing.

    `counts` says that an entry of it in `ar/` is its result: it is none where the trial is known to be incomplete.
    """

    reason: str
    message: str
    counts: bool = False


@dataclass(frozen=True, kw_only=True)
class Asked:
    """`trials` holds all that were asked for, None where nobody wrote that down; `failed` are those known to be amiss.

    The other members are as in Experiment.
    """

    trials: Mapping[Trial, Why] | None = None
    failed: Mapping[Trial, Why] = field(default_factory=dict)
    timeout: float | None = None
    poll: int | None = None
    repeat: int | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)
    source: str = "captain or a fork of it"

    @property
    def known(self) -> Mapping[Trial, Why]:
        """All trials of which anything was written down."""
        return self.failed if self.trials is None else self.trials

    def counts(self, trial: Trial) -> bool:
        """Whether an entry in `ar/` is the result of a trial that was asked for."""
        why = self.known.get(trial)
        return self.trials is None if why is None else why.counts


def uneven(present: Iterable[Trial]) -> str:
    """Who has fewer repeats than others, for people; empty where none has. Captain has one REPEAT for all."""
    largest: dict[tuple[str, str], int] = {}
    for fuzzer, target, _, run in present:
        largest[fuzzer, target] = max(run + 1, largest.get((fuzzer, target), 0))
    most = max(largest.values(), default=0)
    fewer = [f"{fuzzer}/{target} has {count}" for (fuzzer, target), count in sorted(largest.items()) if count < most]
    if not fewer:
        return ""
    return f"{', '.join(fewer)} repeats where others have {most}: nobody wrote down whether more were asked for"


def gaps(present: Iterable[Trial]) -> Iterator[Trial]:
    """Trials below the largest RUN of their fuzzer and target that are not there, for each program that has any."""
    runs: dict[tuple[str, str, str], set[int]] = {}
    largest: dict[tuple[str, str], int] = {}
    for fuzzer, target, program, run in present:
        runs.setdefault((fuzzer, target, program), set()).add(run)
        largest[fuzzer, target] = max(run, largest.get((fuzzer, target), 0))
    for (fuzzer, target, program), there in runs.items():
        every = range(largest[fuzzer, target] + 1)
        yield from ((fuzzer, target, program, run) for run in every if run not in there)
