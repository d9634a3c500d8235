"""A reporter that remembers, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from magma_remote.model.cpus import CpuSet
    from magma_remote.model.image import Recipe
    from magma_remote.model.jobs import Job
    from magma_remote.model.result import Result
    from magma_remote.ports import Running


class MemoryReporter:
    """A `Reporter` that remembers."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.plans: list[dict[str, float]] = []
        self.starts: list[tuple[Job, CpuSet]] = []
        self.results: list[Result] = []

    def note(self, text: str) -> None:
        """See `Reporter.note`."""
        self.notes.append(text)

    def building(self, recipe: Recipe, number: int, count: int) -> None:
        """See `Reporter.building`."""
        self.notes.append(f"building {recipe.name}, {number} of {count}")

    def build_line(self, line: str) -> None:
        """See `Reporter.build_line`."""
        self.notes.append(line)

    def built(self, recipe: Recipe, seconds: float) -> None:  # noqa: ARG002 - the protocol's signature
        """See `Reporter.built`."""
        self.notes.append(f"built {recipe.name}")

    def planned(self, *, trials: int, kept: int, slots: int, seconds: float) -> None:
        """See `Reporter.planned`."""
        self.plans.append({"trials": trials, "kept": kept, "slots": slots, "seconds": seconds})

    def started(self, job: Job, cpus: CpuSet) -> None:
        """See `Reporter.started`."""
        self.starts.append((job, cpus))

    def ended(self, result: Result) -> None:
        """See `Reporter.ended`."""
        self.results.append(result)

    def tick(self, running: Sequence[Running], *, left: float) -> None:
        """See `Reporter.tick`."""
