"""Where trials ran: fuzzers that ran on other machines than others had other CPUs."""

from __future__ import annotations

from collections import Counter
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from magma_remote.model.machine import Machine
from magma_remote.report.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from magma_remote.report.figures import Report


@dataclass(frozen=True, kw_only=True)
class Share:
    """A machine, as it was, and how many trials of each fuzzer ran on it."""

    machine: Machine
    trials: Mapping[str, int]


def shares(report: Report) -> tuple[Share, ...]:
    """Every machine that trials tell of, by name; a machine that was changed between trials is there more than once."""
    found: dict[Machine, Counter[str]] = {}
    for trial in report.experiment.trials:
        found.setdefault(trial.machine or Machine(), Counter())[trial.fuzzer] += 1
    ordered = sorted(found, key=lambda machine: [text or "" for text in astuple(machine)])
    return tuple(Share(machine=machine, trials=found[machine]) for machine in ordered)


def unlike(report: Report) -> str:
    """A warning where trials ran on CPUs of several models; empty elsewhere, and where nobody wrote them down."""
    trials = Counter(trial.machine.cpu for trial in report.experiment.trials if trial.machine and trial.machine.cpu)
    if len(trials) < 2:  # noqa: PLR2004 - one kind is no difference
        return ""
    told = ", ".join(f"{model} ({counted(count, 'trial')})" for model, count in sorted(trials.items()))
    return (
        f"Trials ran on CPUs of different models: {told}. Times compare as far as fuzzers ran on them alike: see "
        "Machines, at the end."
    )
