"""Tells a person how a run goes: live bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from magma_remote.model.canaries import Bugs
from magma_remote.model.cpus import cpu_list
from magma_remote.model.plain import plain
from magma_remote.model.result import Phase
from magma_remote.model.units import human_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from rich.console import RenderableType

    from magma_remote.model.cpus import CpuSet
    from magma_remote.model.image import Recipe
    from magma_remote.model.jobs import Job
    from magma_remote.model.result import Result
    from magma_remote.ports import Reporter, Running

SIGN_OF_LIFE = 60.0  # seconds between lines of progress where there are no live bars
_BAR = 24
_WIDE = 110  # columns from which bugs are told in words
_NARROW = 60  # columns under which there are no bars


def trial_label(job: Job) -> str:
    """A trial for people: `afl/libpng/libpng_read_fuzzer #0`."""
    return f"{job.fuzzer}/{job.target}/{job.program} #{job.repeat}"


@contextmanager
def reporter_for(stream: TextIO, *, timeout: float) -> Iterator[Reporter]:
    """A reporter for this stream; the terminal is left as it was on every way out."""
    if stream.isatty():
        with LiveReporter(Console(file=stream, highlight=False), timeout) as reporter:
            yield reporter
    else:
        yield PlainReporter(stream)


class _Count:
    """Trials and bugs so far."""

    def __init__(self) -> None:
        self.trials = self.done = self.failed = 0
        self.bugs = Bugs()

    def plan(self, trials: int) -> None:
        self.trials = trials

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
    at_once = f"{slots} at once" if slots > 1 else "one after another"
    return (
        f"{trials} trials to run{there}, {at_once}: about {human_seconds(seconds)}"
        if trials
        else (f"No trial left to run{there}")
    )


def _ended(result: Result) -> str:
    label = trial_label(result.job)
    if not result.complete:
        reason = result.reason.value if result.reason else ""
        return f"FAILED {label} ({reason}): {result.message}"
    pocs = "" if result.pocs is None else f", {result.pocs} new PoCs"
    warned = "".join(f"; note: {warning}" for warning in result.warnings)
    bugs = result.bugs
    return f"Ended {label}: {len(bugs.reached)} bugs reached, {len(bugs.triggered)} triggered{pocs}{warned}"


def _built(recipe: Recipe, seconds: float) -> str:
    return f"Built {recipe.tag} in {human_seconds(seconds)}"


def _started(job: Job, cpus: CpuSet) -> str:
    return f"Started {trial_label(job)} on CPU {cpu_list(cpus)}"


class PlainReporter:
    """A line for everything that happens, each with its time; one a minute when nothing does."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._count = _Count()
        self._spoke = time.monotonic()

    def note(self, text: str) -> None:
        """See `Reporter.note`."""
        self._spoke = time.monotonic()
        print(time.strftime("%H:%M:%S"), text, file=self._stream, flush=True)

    def building(self, recipe: Recipe, number: int, count: int) -> None:
        """See `Reporter.building`."""
        self.note(f"Image {number} of {count}: {recipe.tag}")

    def build_line(self, line: str) -> None:
        """See `Reporter.build_line`: the build's log has them."""

    def built(self, recipe: Recipe, seconds: float) -> None:
        """See `Reporter.built`."""
        self.note(_built(recipe, seconds))

    def planned(self, *, trials: int, kept: int, slots: int, seconds: float) -> None:
        """See `Reporter.planned`."""
        self._count.plan(trials)
        self.note(_planned(trials, kept, slots, seconds))

    def started(self, job: Job, cpus: CpuSet) -> None:
        """See `Reporter.started`."""
        self.note(_started(job, cpus))

    def ended(self, result: Result) -> None:
        """See `Reporter.ended`."""
        self._count.end(result)
        self.note(_ended(result))

    def tick(self, running: Sequence[Running], *, left: float) -> None:
        """See `Reporter.tick`."""
        if time.monotonic() - self._spoke >= SIGN_OF_LIFE:
            self.note(self._count.line(running, left))


class LiveReporter:
    """Lines for what happened, above bars for what runs; drawn when told and never by itself."""

    def __init__(self, console: Console, timeout: float) -> None:
        self._console = console
        self._timeout = timeout
        self._count = _Count()
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._image = ""

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def note(self, text: str) -> None:
        """See `Reporter.note`."""
        style = "red" if text.startswith("FAILED") else ""
        self._console.print(Text(f"{time.strftime('%H:%M:%S')} {text}", style=style), soft_wrap=True)

    def building(self, recipe: Recipe, number: int, count: int) -> None:
        """See `Reporter.building`."""
        self._image = f"Image {number} of {count}: {recipe.tag}"
        self._draw(Text(self._image))

    def build_line(self, line: str) -> None:
        """See `Reporter.build_line`."""
        shown = Text(f"  {plain(line).strip()}", no_wrap=True, overflow="ellipsis")
        self._draw(Group(Text(self._image), shown))

    def built(self, recipe: Recipe, seconds: float) -> None:
        """See `Reporter.built`."""
        self.note(_built(recipe, seconds))

    def planned(self, *, trials: int, kept: int, slots: int, seconds: float) -> None:
        """See `Reporter.planned`."""
        self._draw(Text(""))
        self._count.plan(trials)
        self.note(_planned(trials, kept, slots, seconds))

    def started(self, job: Job, cpus: CpuSet) -> None:
        """See `Reporter.started`."""
        self.note(_started(job, cpus))

    def ended(self, result: Result) -> None:
        """See `Reporter.ended`."""
        self._count.end(result)
        self.note(_ended(result))

    def tick(self, running: Sequence[Running], *, left: float) -> None:
        """See `Reporter.tick`."""
        table = Table.grid(padding=(0, 1))
        table.add_column()  # the one that gives way where a terminal is narrow
        for _ in range(len(self._row(running[0])) - 1 if running else 0):
            table.add_column(no_wrap=True)
        for trial in running[: max(1, self._console.height - 3)]:
            table.add_row(*self._row(trial))
        table.add_row()
        outer = Table.grid()
        outer.add_row(table)
        outer.add_row(Text(self._count.line(running, left), style="bold"))
        self._draw(outer)

    def _row(self, trial: Running) -> tuple[Text, ...]:
        job, bugs = trial.job, trial.bugs
        wide = self._console.width >= _WIDE
        found = f"{len(bugs.reached)} reached, {len(bugs.triggered)} triggered"
        name = Text(f"{job.fuzzer}/{job.target}/{job.program}", no_wrap=True, overflow="ellipsis")
        return (
            name,
            Text(f"#{job.repeat}"),
            *([Text(f"CPU {cpu_list(trial.cpus)}"), self._bar(trial)] if self._console.width >= _NARROW else []),
            Text(f"{trial.phase.value} {human_seconds(trial.since)}"),
            Text(found if wide else f"{len(bugs.reached)} r, {len(bugs.triggered)} t"),
        )

    def _bar(self, trial: Running) -> Text:
        share = min(1.0, trial.since / self._timeout) if trial.phase is Phase.FUZZING else 0.0
        length = min(_BAR, self._console.width // 8)
        filled = round(share * length)
        return Text("━" * filled, style="green") + Text("━" * (length - filled), style="dim")

    def _draw(self, what: RenderableType) -> None:
        self._live.update(what, refresh=True)
