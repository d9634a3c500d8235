"""What a person is told while trials run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from magma_remote.model.canaries import Bugs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from magma_remote.model.cpus import CpuSet
    from magma_remote.model.experiment import Trial
    from magma_remote.model.image import Recipe
    from magma_remote.model.jobs import Job
    from magma_remote.model.pocs import Ended
    from magma_remote.model.result import Phase, Result


@dataclass(frozen=True, kw_only=True)
class Running:
    """A trial that runs now: `since` is how many seconds its phase has lasted."""

    job: Job
    cpus: CpuSet
    phase: Phase
    since: float
    bugs: Bugs = Bugs()  # noqa: RUF009 - frozen, hence safe to share


class BuildReporter(Protocol):
    """Tells a person what happens before any trial runs."""

    def note(self, text: str) -> None:
        """Anything worth a line."""

    def building(self, recipe: Recipe, number: int, count: int) -> None:
        """The image that is looked for or built now: the first of `count` has number 1."""

    def build_line(self, line: str) -> None:
        """A line of a build's output."""

    def built(self, recipe: Recipe, seconds: float) -> None:
        """An image was built."""


class Reporter(BuildReporter, Protocol):
    """Tells a person what happens."""

    def planned(self, *, trials: int, kept: int, slots: int, seconds: float) -> None:
        """What is about to run: `kept` trials are there already, the others take `seconds`."""

    def started(self, job: Job, cpus: CpuSet) -> None:
        """A trial starts."""

    def ended(self, result: Result) -> None:
        """A trial ended."""

    def tick(self, running: Sequence[Running], *, left: float) -> None:
        """How things stand; `left` is the estimate for all of it in seconds."""


class ExtractReporter(BuildReporter, Protocol):
    """Tells a person how PoCs are extracted."""

    def extracting(self, *, trials: int, kept: int, slots: int) -> None:
        """What is about to be done: `kept` trials were done before."""

    def extracted(self, ended: Ended) -> None:
        """A trial was done, or could not be."""

    def progress(self, running: Sequence[Trial], *, done: int, total: int, left: float | None) -> None:
        """How things stand; `left` is an estimate in seconds, None where there is none yet."""
