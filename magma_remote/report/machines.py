"""Where trials ran: fuzzers that ran on other machines than others had other CPUs."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from magma_remote.model.machine import Machine
from magma_remote.report.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from magma_remote.report.figures import Report


_DIGITS = 19  # of a build, for people: `sha256:` and twelve


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


def unlike(report: Report) -> Iterator[str]:
    """Warnings where trials ran on CPUs of several models, or in images that start from different ones."""
    yield from filter(None, [_other_cpus(report)])
    builds: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for trial in report.experiment.trials:
        for base in trial.bases:
            name, _, build = base.rpartition("@")
            builds[name][build].add(trial.fuzzer)
    for name, of in sorted(builds.items()):
        if len(of) > 1:
            told = "; ".join(f"{build[:_DIGITS]} for {', '.join(sorted(who))}" for build, who in sorted(of.items()))
            yield (
                f"Images start from {len(of)} different builds of {name}: {told}. Compilers and libraries in it may "
                "differ, and with them what was fuzzed."
            )


def _other_cpus(report: Report) -> str:
    trials = Counter(trial.machine.cpu for trial in report.experiment.trials if trial.machine and trial.machine.cpu)
    if len(trials) < 2:  # noqa: PLR2004 - one kind is no difference
        return ""
    told = ", ".join(f"{model} ({counted(count, 'trial')})" for model, count in sorted(trials.items()))
    return (
        f"Trials ran on CPUs of different models: {told}. Times compare as far as fuzzers ran on them alike: see "
        "Machines, at the end."
    )
