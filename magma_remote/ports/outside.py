"""Time, transport of results, and work beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from magma_remote.model.entries import RunEntry
    from magma_remote.model.jobs import Job
    from magma_remote.model.messages import Place


class Clock(Protocol):
    """Time, in seconds."""

    def now(self) -> float:
        """Since the epoch; may be set by people."""

    def monotonic(self) -> float:
        """Since some moment; only grows."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class Transfer(Protocol):
    """Brings a result here."""

    def fetch(self, place: Place, destination: Path) -> None:
        """Copy a worker's folder to `destination`, which may hold part of it from an earlier try.

        Links stay links. TransferError where that fails; what is there by then is kept for the next try.
        CorruptError where the folder's manifest shows that no other try can help.
        """


class Marks(Protocol):
    """Shows which complete results a worker still has."""

    def marks(self, place: Place) -> Mapping[str, bytes]:
        """The files `runs/RUN.json` of `place.workdirs` by their names; huge ones are left out.

        TransferError where they cannot be had, or the folder is no worker's.
        """


class Crew(Protocol):
    """Does slow things beside its owner, a few at a time, in the order in which they came."""

    def submit(self, key: str, task: Callable[[], None], *, first: bool = False) -> None:
        """Do it some time, with `first` before all that are not; a key is used once until its end was told."""

    def ended(self) -> list[tuple[str, Exception | None]]:
        """What ended since the last call, with what it raised."""

    def wait(self, seconds: float) -> None:
        """Return when something has ended, or after so many seconds."""

    def close(self) -> None:
        """Start nothing more, and wait for what runs."""


class Results(Protocol):
    """From a worker's folder to the merged WORKDIR; each step may be killed anywhere and done again."""

    def fetch(self, run: RunEntry) -> None:
        """Bring a reported run's folder into TEMP_RESULTS and verify it against its manifest.

        TransferError where another try may help, CorruptError where the folder is not what the worker said,
        StorageError where TEMP_RESULTS cannot take it now.
        """

    def merge(self, run: RunEntry, job: Job) -> None:
        """Enter a fetched result into WORKDIR, or finish entering it; nothing where it is in there.

        StorageError where WORKDIR cannot take it now, CorruptError where it is neither here nor there.
        """

    def discard(self, run: RunEntry) -> None:
        """Remove what was fetched of a run that is not the job's result."""

    def finish(self) -> None:
        """Remove TEMP_RESULTS; StorageError, and nothing removed, while it holds a result that is not merged."""
