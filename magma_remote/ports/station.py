"""What a worker does on its machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from magma_remote.model.messages import Feedback

if TYPE_CHECKING:
    from collections.abc import Mapping

    from magma_remote.model.cpus import CpuSet
    from magma_remote.model.jobs import Job
    from magma_remote.model.messages import Broadcast, Place
    from magma_remote.model.outcome import Reason


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """A job that a worker is about to run on CPUs of its own."""

    config_id: str
    run: str
    number: int
    attempt: int
    job: Job
    cpus: CpuSet


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A station that is set up for a campaign, or why it could not be: then `unfit` says so.

    `sets` are the CPU sets of its layout; `demands` how many CPUs a trial of each fuzzer needs; `cannot` the fuzzers
    whose trials it can never run.
    """

    config_id: str
    unfit: str = ""
    sets: tuple[CpuSet, ...] = ()
    housekeeping: CpuSet = ()
    demands: Mapping[str, int] = field(default_factory=dict)
    cannot: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RunEnded:
    """A run that ended: `place` and `manifest` of a complete one, else `reason`, as in Feedback and Grave."""

    run: str
    reason: Reason | None
    message: str = ""
    tail: tuple[str, ...] = ()
    log: str = ""
    place: Place | None = None
    manifest: str = ""
    started_at: float = 0.0
    reached: tuple[str, ...] = ()
    triggered: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A complete result that lies on this worker and that the dispatcher has not confirmed."""

    assignment: Assignment
    ended: RunEnded

    def feedback(self, worker: str) -> Feedback:
        """What its worker, by id, tells of it."""
        if self.ended.place is None:
            raise AssertionError(self.ended)  # a complete run has a place
        return Feedback(
            config_id=self.assignment.config_id,
            number=self.assignment.number,
            run=self.assignment.run,
            attempt=self.assignment.attempt,
            worker=worker,
            place=self.ended.place,
            manifest=self.ended.manifest,
            started_at=self.ended.started_at,
            reached=self.ended.reached,
            triggered=self.ended.triggered,
        )


class Station(Protocol):
    """What a worker does on its machine. Nothing here waits: what takes time goes on beside, and is told as news."""

    def prepare(self, broadcast: Broadcast) -> None:
        """Leave what was set up before, where no run is left, and set up for this campaign; news when that is over."""

    def serves(self, broadcast: Broadcast, before: Broadcast) -> bool:
        """Whether what is set up for `before` is what this later broadcast of its campaign needs."""

    def progress(self) -> str:
        """What preparing is about now, for people."""

    def obstacle(self) -> str:
        """Why no further run can start now, such as a full disk; empty where one can."""

    def start(self, assignment: Assignment) -> None:
        """Begin a run; RunEnded comes as news, whatever happens."""

    def stop(self, run: str) -> None:
        """End a run soon; nothing where it has ended."""

    def status(self, run: str) -> tuple[str, float, tuple[str, ...]]:
        """A run's phase, when it began (epoch seconds), and the bugs that it has triggered so far."""

    def news(self) -> list[Prepared | RunEnded]:
        """What happened since the last call."""

    def wait(self, seconds: float) -> None:
        """Return when there is news, or after so many seconds."""

    def kept(self) -> tuple[Kept, ...]:
        """Results of now and before that were neither confirmed nor dropped."""

    def forget(self, run: str) -> None:
        """The dispatcher does not need this result any more: delete it, or mark it where results are kept."""

    def release(self) -> None:
        """Give back what was set up: CPU claims and caches; nothing runs any more."""
