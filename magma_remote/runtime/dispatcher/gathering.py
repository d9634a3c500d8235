"""Results: fetched a few at a time, verified, merged, and only then confirmed to their workers."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from magma_remote.errors import CorruptError, MagmaRemoteError, StorageError
from magma_remote.model.entries import JobState, RunState
from magma_remote.model.outcome import Reason
from magma_remote.runtime.logs import facts

if TYPE_CHECKING:
    from collections.abc import Callable

    from magma_remote.model.entries import JobEntry, RunEntry
    from magma_remote.ports import Clock, Crew, Ledger, Results
    from magma_remote.runtime.dispatcher.book import Book

log = logging.getLogger(__name__)

FETCHES = 6
"""Tries, some five minutes in all, before the result of a worker that is lost counts as out of reach.

Then its job goes out again. A worker that is there has its result fetched again and again: what is in the way is for a
person to mend, and costs no trial.
"""

CORRUPT_FETCHES = 2
_FIRST_PAUSE = 10.0
_LONGEST_PAUSE = 300.0
_STORAGE_PAUSE = 30.0
_IN_FLIGHT = 128  # the crew's threads bound what is fetched at once; it gets more when few are left
_FEW = 32


class Gathering:
    """Moves runs from REPORTED to KEPT and their jobs from FETCHED to DONE."""

    def __init__(self, ledger: Ledger, book: Book, results: Results, crew: Crew, clock: Clock) -> None:
        self.troubles: dict[str, str] = {}
        self._ledger = ledger
        self._book = book
        self._results = results
        self._crew = crew
        self._clock = clock
        self._flying: dict[str, RunEntry] = {}
        self._to_merge: list[tuple[RunEntry, JobEntry]] = []
        self._done: list[JobEntry] = []
        self._not_before: dict[str, float] = {}

    def advance(self) -> int:
        """Take in what ended, begin what can be; how much of both."""
        ended = self._crew.ended()
        if ended:
            with self._ledger.transaction():
                for key, error in ended:
                    self._end(key, error)
        for run, job in self._to_merge:  # only now: it is the job's result for good
            self._submit_merge(run, job)
        self._tell()
        self._to_merge, self._done = [], []
        return len(ended) + self._begin()

    def _tell(self) -> None:
        """Say what is done, in its order."""
        if not self._done:
            return
        counts = self._ledger.counts()
        done, total = counts[JobState.DONE] - len(self._done), sum(counts.values())
        for number, entry in enumerate(self._done, done + 1):
            extra = facts(entry.job, number=entry.number, run=entry.run, action="done")
            log.info("%s is done, %d of %d", entry.job, number, total, extra=extra)

    @property
    def busy(self) -> bool:
        """Whether anything is on its way."""
        return bool(self._flying)

    def _begin(self) -> int:
        if len(self._flying) > _FEW:
            return 0
        begun = 0
        for job in self._ledger.jobs(JobState.FETCHED, limit=_IN_FLIGHT):
            run = None if f"merge {job.run}" in self._flying else self._ledger.run(job.run or "")
            if run:
                begun += self._submit_merge(run, job)
        # a fetch that is due later than it can have been put off was put off before the clock was set back
        for run in self._ledger.due(self._clock.now(), beyond=_LONGEST_PAUSE + _FIRST_PAUSE, limit=_IN_FLIGHT):
            if len(self._flying) < _IN_FLIGHT:
                begun += self._submit("fetch", run, partial(self._results.fetch, run))
        return begun

    def _submit_merge(self, run: RunEntry, job: JobEntry) -> int:
        """Before all fetches: what is fetched takes room twice over until it is merged."""
        return self._submit("merge", run, partial(self._results.merge, run, job.job), first=True)

    def _submit(self, act: str, run: RunEntry, task: Callable[[], None], *, first: bool = False) -> int:
        key = f"{act} {run.run}"
        if key in self._flying or self._not_before.get(key, 0.0) > self._clock.monotonic():
            return 0
        self._not_before.pop(key, None)
        self._flying[key] = run
        self._crew.submit(key, task, first=first)
        return 1

    def _end(self, key: str, error: Exception | None) -> None:
        fetch, submitted = key.startswith("fetch "), self._flying.pop(key)
        if error is None:
            self.troubles.pop("storage", None)
            self.troubles.pop(f"fetch {submitted.worker}", None)
        if not fetch and error is None:
            self._merged(submitted)
            return
        run = self._ledger.run(submitted.run) or submitted
        if error is None:
            self._fetched(run)
        elif isinstance(error, StorageError):
            self._pause(key, error)
        elif fetch:
            self._not_fetched(run, error)
        else:
            log.error("result of run %s could not be merged: %s", run.run, error)
            self._book.undone(run, Reason.CORRUPT, str(error))

    def _fetched(self, run: RunEntry) -> None:
        if job := self._book.kept(run):
            self._to_merge.append((run, job))
        else:
            self._discard(run)

    def _discard(self, run: RunEntry) -> None:
        """What is left of it is looked at again when TEMP_RESULTS is to be removed."""
        try:
            self._results.discard(run)
        except MagmaRemoteError as error:
            log.warning("what was fetched of run %s stays: %s", run.run, error)

    def _merged(self, run: RunEntry) -> None:
        if job := self._book.done(run):
            self._done.append(job)

    def _not_fetched(self, run: RunEntry, error: Exception) -> None:
        corrupt = isinstance(error, CorruptError)
        fetches = run.fetches + 1
        log.warning("fetch %d of run %s failed: %s", fetches, run.run, error, extra={"run": run.run})
        if run.state is not RunState.REPORTED:
            return
        worker = self._ledger.worker(run.worker)
        if (corrupt and fetches >= CORRUPT_FETCHES) or (fetches >= FETCHES and (worker is None or worker.lost)):
            self._discard(run)
            self._book.undone(run, Reason.CORRUPT if corrupt else Reason.FETCH, str(error))
            return
        if worker and fetches > 1:
            self.troubles[f"fetch {run.worker}"] = f"results of worker {worker.heartbeat.name} do not come: {error}"
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (fetches - 1))
        self._ledger.save_run(replace(run, fetches=fetches, fetch_at=self._clock.now() + pause))

    def _pause(self, key: str, error: StorageError) -> None:
        """Our own disk: no fault of the result, and no reason to give it up."""
        self.troubles["storage"] = str(error)
        self._not_before[key] = self._clock.monotonic() + _STORAGE_PAUSE
