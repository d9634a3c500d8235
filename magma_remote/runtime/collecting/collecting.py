"""What is left on workers comes into WORKDIR where no dispatcher runs; whoever calls holds WORKDIR's lock.

Nothing of a result is written into the ledger before the result is here and verified: a worker that cannot be reached
or a result that is corrupt changes nothing. Killed anywhere, the next run goes on.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from magma_remote.errors import CorruptError, MagmaRemoteError, StorageError, TransferError
from magma_remote.model.entries import CampaignState, JobState, RunEntry, RunState
from magma_remote.model.outcome import Reason
from magma_remote.runtime.collecting.errands import Errands
from magma_remote.runtime.collecting.leftovers import is_wanted, left_there, worker_names
from magma_remote.runtime.dispatcher.book import Book
from magma_remote.runtime.dispatcher.operations import campaign_of
from magma_remote.runtime.logs import facts
from magma_remote.runtime.storage import storage_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from magma_remote.model.entries import JobEntry
    from magma_remote.model.jobs import Job
    from magma_remote.model.messages import Feedback
    from magma_remote.ports import Clock, Crew, Ledger, Results
    from magma_remote.runtime.collecting.leftovers import Left

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Bag:
    """A result that can be had: `left` is None where only the ledger knows of it."""

    name: str
    run: RunEntry
    left: Left | None = None


class Collecting:
    """`is_there` tells whether a run's result is in WORKDIR as its job's; `tell` is told of each fetch, in any thread.

    `until` says that no further one is to begin.

    Afterwards `fetched` are the jobs whose results came, and `why` says of others what is in the way: a word for
    programs and a sentence.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        is_there: Callable[[RunEntry, Job], bool],
        results: Results,
        crew: Crew,
        clock: Clock,
        tell: Callable[[str], None],
        until: Callable[[], bool] = lambda: False,
    ) -> None:
        self.fetched: list[JobEntry] = []
        self.why: dict[int, tuple[str, str]] = {}
        self._is_there = is_there
        self._ledger = ledger
        self._campaign = campaign_of(ledger)
        self._book = Book(ledger, max_attempts=self._campaign.max_attempts)
        self._results = results
        self._errands = Errands(crew, until)
        self._clock = clock
        self._tell = tell
        self._got: dict[int, Bag] = {}
        self._before: dict[int, JobEntry] = {}

    def all(self, lefts: Sequence[Left]) -> None:
        """Fetch, verify and merge what is new. StorageError where a disk of ours is in the way."""
        wanted, unwanted = self._bags(lefts)
        for left in unwanted:  # a collecting that was killed may have fetched it
            self._results.discard(_entry(left.feedback, None))
        self._begin(wanted)
        for job in list(self._ledger.jobs(JobState.FETCHED)):
            if run := self._ledger.run(job.run or ""):
                self._merge(run, job)
        try:
            for key, error in self._errands.ended():
                act, _, number = key.partition(" ")
                (self._end_fetch if act == "fetch" else self._end_merge)(int(number), error)
        finally:
            self._restore()

    def _restore(self) -> None:
        """A campaign that had ended, and was opened for results that came late, has ended again."""
        with self._ledger.transaction():
            if self._campaign.ended_at is not None and is_settled(self._ledger):
                self._ledger.save_campaign(self._campaign)

    def _bags(self, lefts: Sequence[Left]) -> tuple[dict[int, list[Bag]], list[Left]]:
        """Results by their jobs, which want them, the first to be tried first; and results that are not needed."""
        bags: dict[int, list[Bag]] = {}
        names, at = worker_names(self._ledger), {left.feedback.run: left for left in lefts}
        for run in self._ledger.runs(RunState.REPORTED):
            job, left = self._ledger.job(run.number), at.pop(run.run, None)
            if job and not job.state.settled:
                there = _entry(left.feedback, run) if left else run
                bag = Bag(name=left.name if left else names.get(run.worker, run.worker), run=there, left=left)
                bags.setdefault(run.number, []).append(bag)
        unwanted = []
        for left in at.values():
            told = left.feedback
            job, known = self._ledger.job(told.number), self._ledger.run(told.run)
            if is_wanted(self._ledger, left) or (job and known and self._is_gone(job, known)):
                bag = Bag(name=left.name, run=_entry(told, known), left=left)
                bags.setdefault(told.number, []).append(bag)
            elif not (job and job.run == told.run):
                unwanted.append(left)
        return bags, unwanted

    def _is_gone(self, job: JobEntry, run: RunEntry) -> bool:
        """Whether it is the result of a job that is done, and is not in WORKDIR any more: its worker still has it."""
        if job.state is not JobState.DONE or job.run != run.run:
            return False
        with storage_errors("look at it"):
            return not self._is_there(run, job.job)

    def _begin(self, wanted: Mapping[int, Sequence[Bag]]) -> None:
        counts = Counter(some[0].name for some in wanted.values())
        begun = Counter[str]()
        for number, some in wanted.items():
            name = some[0].name
            begun[name] += 1
            line = f"{left_there(name, counts[name])}, fetching {begun[name]} of {counts[name]} …"
            self._errands.add(f"fetch {number}", partial(self._bring, number, some, line))

    def _bring(self, number: int, some: Sequence[Bag], line: str) -> None:
        """Have one of a job's results here, verified; the last one's error where none can be had. In any thread."""
        self._tell(line)
        last: MagmaRemoteError | None = None
        for bag in some:
            self._got[number] = bag
            try:
                self._fetch(bag.run)
            except (CorruptError, TransferError) as error:
                last = error
            else:
                return
        raise last or AssertionError(number)

    def _fetch(self, run: RunEntry) -> None:
        """Twice where it came altered: on its way that is rare, and never happens again."""
        try:
            self._results.fetch(run)
        except CorruptError:
            self._results.fetch(run)

    def _end_fetch(self, number: int, error: MagmaRemoteError | None) -> None:
        bag = self._got[number]
        if isinstance(error, StorageError):
            raise error
        if error:
            reason = Reason.CORRUPT if isinstance(error, CorruptError) else Reason.FETCH
            self.why[number] = (reason.value, f"complete on {bag.name}, but not to be had: {error}")
            return
        if job := self._enter(bag):
            self._merge(bag.run, job)
        else:
            self._results.discard(bag.run)

    def _enter(self, bag: Bag) -> JobEntry | None:
        """Make a result that is here its job's; None where that has another one."""
        with self._ledger.transaction():
            before = self._ledger.job(bag.run.number)
            if before is None or before.run == bag.run.run:
                return before
            if bag.left:
                self._book.reported(bag.left.feedback, self._clock.now())
            run = self._ledger.run(bag.run.run)
            job = self._book.kept(replace(run, place=bag.run.place)) if run else None
            if job is None:
                return None
            # its message, where the queue has one, goes when a dispatcher sweeps
            self._ledger.save_job(replace(job, queue_id=before.queue_id))
            if self._campaign.ended_at is not None:  # killed before the merge, the same as requeued
                self._ledger.save_campaign(replace(self._campaign, state=CampaignState.OPEN, ended_at=None))
            self._before[job.number] = before
            return job

    def _merge(self, run: RunEntry, job: JobEntry) -> None:
        self._errands.add(f"merge {job.number}", partial(self._results.merge, run, job.job), first=True)

    def _end_merge(self, number: int, error: MagmaRemoteError | None) -> None:
        job = self._ledger.job(number)
        run = self._ledger.run(job.run or "") if job else None
        if isinstance(error, StorageError) or job is None:
            raise error or AssertionError(number)
        if run is None:  # a person has given this result up meanwhile
            return
        if error:
            self._not_merged(job, run, error)
            return
        with self._ledger.transaction():
            self._book.done(run)
        self.fetched.append(job)
        extra = facts(job.job, number=number, run=run.run, action="done")
        log.info("%s is collected", job.job, extra=extra)

    def _not_merged(self, job: JobEntry, run: RunEntry, error: MagmaRemoteError) -> None:
        """What the dispatcher had fetched is fetched again where it is lost; else the job goes on as it was before."""
        if job.number not in self._got:
            bag = Bag(name=worker_names(self._ledger).get(run.worker, run.worker), run=run)
            self._begin({job.number: [bag]})
            return
        log.error("result of run %s could not be merged: %s", run.run, error)
        self.why[job.number] = (Reason.CORRUPT.value, str(error))
        if job.state is JobState.FETCHED:
            with self._ledger.transaction():
                self._book.undone(run, Reason.CORRUPT, str(error))
                before = self._before.get(job.number)
                if before and before.state is JobState.DEAD:
                    self._ledger.save_job(before)
        self._results.discard(run)


def is_settled(ledger: Ledger) -> bool:
    """Whether every job is done or dead."""
    counts = ledger.counts()
    return sum(counts.values()) == counts[JobState.DONE] + counts[JobState.DEAD]


def _entry(told: Feedback, known: RunEntry | None) -> RunEntry:
    """A run to fetch; of one that the ledger knows to be complete only the place may be another now."""
    if known and known.state in {RunState.REPORTED, RunState.KEPT}:
        return replace(known, place=told.place)
    return RunEntry(
        run=told.run,
        number=told.number,
        attempt=told.attempt,
        worker=told.worker,
        state=RunState.REPORTED,
        place=told.place,
        manifest=told.manifest,
    )
