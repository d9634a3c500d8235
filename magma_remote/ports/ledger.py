"""The dispatcher's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from magma_remote.model.entries import (
        CampaignEntry,
        JobEntry,
        JobState,
        PinEntry,
        RunEntry,
        RunState,
        Warned,
        WorkerEntry,
    )
    from magma_remote.model.outcome import Reason
    from magma_remote.model.standing import Pair


class Ledger(Protocol):
    """The dispatcher's memory. All methods raise LedgerError where the file fails.

    Other processes read it, and write to it, at the same time: whoever decides on an entry reads it in the same
    transaction that saves it.
    """

    def transaction(self) -> AbstractContextManager[None]:
        """All that is saved within the block, or nothing; it holds off other writers. Not to be nested."""

    def campaign(self) -> CampaignEntry | None:
        """The campaign, None in a new ledger."""

    def save_campaign(self, entry: CampaignEntry) -> None:
        """Keep it."""

    def pins(self) -> tuple[PinEntry, ...]:
        """The images that the campaign runs with, in the order in which they were saved first."""

    def save_pins(self, entries: Iterable[PinEntry]) -> None:
        """Keep images; a pair that has one keeps it."""

    def add_jobs(self, entries: Iterable[JobEntry]) -> None:
        """Add jobs that the ledger does not have yet."""

    def job(self, number: int) -> JobEntry | None:
        """One job."""

    def jobs(self, *states: JobState, limit: int | None = None) -> Iterator[JobEntry]:
        """Jobs in these states (all without any) by their number; saving meanwhile does not disturb it."""

    def save_job(self, entry: JobEntry) -> None:
        """Replace a job's entry."""

    def counts(self) -> Mapping[JobState, int]:
        """How many jobs are in each state, 0 included; cheap."""

    def pairs(self) -> tuple[Pair, ...]:
        """Jobs' states and the bugs of KEPT runs for each fuzzer and target, by their names; cheap."""

    def queued(
        self, *, settled: bool, reason: Reason | None = None, avoiding: bool = False, limit: int | None = None
    ) -> Iterator[JobEntry]:
        """Jobs that have a `queue_id`: those that are settled, or those that are not.

        Only with one `reason` where given, only those that avoid a worker with `avoiding`.
        """

    def unsettled(self) -> int:
        """How many jobs have a `queue_id` and are not settled; cheap."""

    def run(self, run: str) -> RunEntry | None:
        """One run."""

    def runs(self, *states: RunState, number: int | None = None, worker: str | None = None) -> tuple[RunEntry, ...]:
        """Runs in these states (all without any), of one job or one worker where given, oldest first."""

    def due(self, now: float, *, beyond: float, limit: int) -> tuple[RunEntry, ...]:
        """REPORTED runs whose `fetch_at` has come, or is more than `beyond` seconds ahead, longest due first; cheap."""

    def save_run(self, entry: RunEntry) -> None:
        """Add or replace a run's entry."""

    def worker(self, worker: str) -> WorkerEntry | None:
        """One worker."""

    def workers(self) -> tuple[WorkerEntry, ...]:
        """All workers that were ever heard, by their names."""

    def save_worker(self, entry: WorkerEntry) -> None:
        """Add or replace a worker's entry."""

    def warnings(self) -> tuple[Warned, ...]:
        """What needs a person now, oldest first."""

    def save_warnings(self, warnings: Sequence[Warned]) -> None:
        """Replace all of them."""

    def close(self) -> None:
        """Close the file."""
