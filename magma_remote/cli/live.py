"""Tells a person at a terminal how a run goes: lines for what happened, above bars for what runs."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from magma_remote.cli.progress import LineReporter, PlainReporter
from magma_remote.model.cpus import cpu_list
from magma_remote.model.plain import plain
from magma_remote.model.result import Phase
from magma_remote.model.units import human_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from rich.console import RenderableType

    from magma_remote.model.image import Recipe
    from magma_remote.ports import Reporter, Running

_BAR = 24
_WIDE = 110  # columns from which bugs are told in words
_NARROW = 60  # columns under which there are no bars


@contextmanager
def reporter_for(stream: TextIO, *, timeout: float) -> Iterator[Reporter]:
    """A reporter for this stream; the terminal is left as it was on every way out."""
    if stream.isatty():
        with LiveReporter(Console(file=stream, highlight=False), timeout) as reporter:
            yield reporter
    else:
        yield PlainReporter(stream)


class LiveReporter(LineReporter):
    """Lines for what happened, above bars for what runs; drawn when told and never by itself."""

    def __init__(self, console: Console, timeout: float) -> None:
        super().__init__()
        self._console = console
        self._timeout = timeout
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
        self._console.print(Text(f"{time.strftime('%H:%M:%S')} {text}", style=style))

    def building(self, recipe: Recipe, number: int, count: int) -> None:
        """See `Reporter.building`."""
        self._image = f"Image {number} of {count}: {recipe.tag}"
        self._draw(Text(self._image))

    def build_line(self, line: str) -> None:
        """See `Reporter.build_line`."""
        shown = Text(f"  {plain(line).strip()}", no_wrap=True, overflow="ellipsis")
        self._draw(Group(Text(self._image), shown))

    def planned(self, *, trials: int, kept: int, slots: int, seconds: float) -> None:
        """See `Reporter.planned`."""
        self._draw(Text(""))
        super().planned(trials=trials, kept=kept, slots=slots, seconds=seconds)

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
        outer.add_row(Text(self.count.line(running, left), style="bold"))
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
