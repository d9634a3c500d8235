"""Tells a person how a run goes, in lines."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from magma_remote.model.canaries import Bugs
from magma_remote.model.cpus import cpu_list
from magma_remote.model.units import human_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from magma_remote.model.cpus import CpuSet
    from magma_remote.model.image import Recipe
    from magma_remote.model.jobs import Job
    from magma_remote.model.result import Result
    from magma_remote.ports import Running

SIGN_OF_LIFE = 60.0  # seconds between lines of progress where there are no live bars


def trial_label(job: Job) -> str:
    """A trial for people: `afl/libpng/libpng_read_fuzzer #0`."""
    return f"{job.fuzzer}/{job.target}/{job.program} #{job.repeat}"


class _Count:
    """Trials and bugs so far."""

    def __init__(self) -> None:
        self.trials = self.done = self.failed = 0
        self.bugs = Bugs()

    def plan(self, trials: int) -> None:
        self.trials = self.done + trials

    def end(self, result: Result) -> None:
        self.done += 1
        self.failed += not result.complete
        self.bugs |= result.bugs

    def line(self, running: Sequence[Running], left: float) -> str:
        """One line of progress."""
        bugs = self.bugs
        for trial in running:
            bugs |= trial.bugs
        failed = f", {self.failed} failed" if self.failed else ""
        return (
            f"{self.done} of {self.trials} trials done{failed}, {len(running)} running, "
            f"about {human_seconds(left)} left; bugs so far: {len(bugs.reached)} reached, "
            f"{len(bugs.triggered)} triggered"
        )


def _planned(trials: int, kept: int, slots: int, seconds: float) -> str:
    there = f" ({kept} more are there already)" if kept else ""
    if not trials:
        return f"No trial left to run{there}"
    if trials == 1:
        return f"1 trial to run{there}: about {human_seconds(seconds)}"
    at_once = f"{min(slots, trials)} at once" if slots > 1 else "one after another"
    return f"{trials} trials to run{there}, {at_once}: about {human_seconds(seconds)}"


def _ended(result: Result) -> str:
    label = trial_label(result.job)
    if not result.complete:
        reason = result.reason.value if result.reason else ""
        return f"FAILED {label} ({reason}): {result.message}"
    pocs = "" if result.pocs is None else f", {result.pocs} new PoCs"
    warned = "".join(f"; note: {warning}" for warning in result.warnings)
    bugs = result.bugs
    return f"Ended {label}: {len(bugs.reached)} bugs reached, {len(bugs.triggered)} triggered{pocs}{warned}"


class LineReporter(ABC):
    """The lines that both kinds of reporter tell; how one is told is theirs."""

    def __init__(self) -> None:
        self.count = _Count()

    @abstractmethod
    def note(self, text: str) -> None:
        """See `Reporter.note`."""

    def built(self, recipe: Recipe, seconds: float) -> None:
        """See `Reporter.built`."""
        self.note(f"Built {recipe.tag} in {human_seconds(seconds)}")

    def planned(self, *, trials: int, kept: int, slots: int, seconds: float) -> None:
        """See `Reporter.planned`."""
        self.count.plan(trials)
        self.note(_planned(trials, kept, slots, seconds))

    def started(self, job: Job, cpus: CpuSet) -> None:
        """See `Reporter.started`."""
        self.note(f"Started {trial_label(job)} on CPU {cpu_list(cpus)}")

    def ended(self, result: Result) -> None:
        """See `Reporter.ended`."""
        self.count.end(result)
        self.note(_ended(result))


class PlainReporter(LineReporter):
    """A line for everything that happens, each with its time; one a minute when nothing does."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._spoke = time.monotonic()

    def note(self, text: str) -> None:
        """See `Reporter.note`."""
        self._spoke = time.monotonic()
        print(time.strftime("%H:%M:%S"), text, file=self._stream, flush=True)

    def building(self, recipe: Recipe, number: int, count: int) -> None:
        """See `Reporter.building`."""
        self.note(f"Image {number} of {count}: {recipe.tag}")

    def build_line(self, line: str) -> None:
        """See `Reporter.build_line`: the build's log has them all."""
        if self._is_silent():
            self.note(f"Still building: {line}")

    def tick(self, running: Sequence[Running], *, left: float) -> None:
        """See `Reporter.tick`."""
        if self._is_silent():
            self.note(self.count.line(running, left))

    def _is_silent(self) -> bool:
        return time.monotonic() - self._spoke >= SIGN_OF_LIFE
