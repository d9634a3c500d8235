"""What happens to runs, written into the ledger; the jobs follow."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from magma_remote.model.entries import JobState, RunEntry, RunState
from magma_remote.model.outcome import Reason
from magma_remote.model.redispatch import NO_FAULT, after_failure, after_loss
from magma_remote.runtime.dispatcher.outbox import Outbox
from magma_remote.runtime.logs import facts

if TYPE_CHECKING:
    from magma_remote.model.entries import JobEntry
    from magma_remote.model.heartbeat import RunStatus
    from magma_remote.model.messages import Feedback, Grave
    from magma_remote.ports import Ledger

log = logging.getLogger(__name__)

_UNCOUNTED = {RunState.RETURNED, RunState.DROPPED}


class Book:
    """All methods are called within a transaction of the ledger. A run that is told of twice changes nothing."""

    def __init__(self, ledger: Ledger, *, max_attempts: int) -> None:
        self.outbox = Outbox()
        self._ledger = ledger
        self._max_attempts = max_attempts

    def running(self, worker: str, status: RunStatus) -> None:
        """A worker has a run in hand."""
        job = self._ledger.job(status.number)
        if job is None:
            return
        run = self._ledger.run(status.run)
        goes_on = run is None or run.state in {RunState.RUNNING, RunState.LOST}
        counted = job
        if goes_on:
            entry = run or replace(_new(worker, status), attempt=job.attempts + 1)  # its message may have come before
            self._ledger.save_run(replace(entry, state=RunState.RUNNING, **_facts(status)))
            counted = _counted(job, RunState.RUNNING, run)
        given_up = job.state.settled and not (job.state is JobState.DEAD and job.reason is Reason.LOST)
        if given_up or (run and run.state is RunState.DROPPED):
            self.outbox.stop[worker].add(status.run)
        elif goes_on:
            counted = replace(counted, state=JobState.RUNNING)
        if counted != job:
            self._ledger.save_job(counted)
        if goes_on and counted.state is JobState.RUNNING and not status.leaving:
            self._arbitrate(status)

    def _arbitrate(self, status: RunStatus) -> None:
        """Of two runs of a job the older one goes on, now that its worker has said that it does."""
        runs = self._ledger.runs(RunState.RUNNING, number=status.number)
        names = [run.run for run in runs]
        for newer in runs[names.index(status.run) + 1 :] if status.run in names else ():
            log.warning("run %s has a job that run %s has already: stopped", newer.run, status.run)
            self.outbox.stop[newer.worker].add(newer.run)
            self._move(newer, RunState.DROPPED, was=newer, message=f"run {status.run} has its job")

    def returned(self, run: str) -> None:
        """A worker that leaves has given a run's job back."""
        entry = self._ledger.run(run)
        if entry is None or entry.state not in {RunState.RUNNING, RunState.LOST}:
            return
        self._move(entry, RunState.RETURNED, was=entry, message="its worker was told to leave")
        job = self._ledger.job(entry.number)
        if job and not job.state.settled and not self._live(entry.number):
            state = JobState.WAITING if job.queue_id is None else JobState.QUEUED
            self._ledger.save_job(replace(job, state=state))

    def lost(self, entry: RunEntry, why: str) -> None:
        """A run's worker is gone, or does not know of it any more."""
        entry = self._ledger.run(entry.run) or entry
        if entry.state is not RunState.RUNNING:
            return
        self._move(entry, RunState.LOST, was=entry, message=why, reason=Reason.LOST)
        job = self._ledger.job(entry.number)
        if job:
            after = after_loss(job, message=why, max_attempts=self._max_attempts, live_runs=self._live(entry.number))
            self._save(job, after)

    def failed(self, grave: Grave, now: float) -> None:
        """A worker could not do a job."""
        job, run = self._ledger.job(grave.number), self._ledger.run(grave.run)
        if job is None or (run and run.state in {RunState.FAILED, RunState.KEPT, RunState.REPORTED}):
            return
        reason = _reason(grave.reason)
        entry = run or _new(grave.worker, grave)
        never_ran = reason is Reason.LOST and run is None
        state = RunState.DROPPED if reason in NO_FAULT or never_ran else RunState.FAILED
        facts = {"message": grave.message, "tail": grave.tail, "log": grave.log, "ended_at": now}
        self._move(entry, state, was=run, reason=reason, **facts)
        self._fail_job(grave.number, reason, grave.message, grave.worker)

    def undone(self, entry: RunEntry, reason: Reason, why: str) -> None:
        """A result that was reported cannot be had."""
        self._move(entry, RunState.FAILED, was=entry, reason=reason, message=why)
        job = self._ledger.job(entry.number)
        if job and job.state is JobState.FETCHED and job.run == entry.run:
            self._ledger.save_job(replace(job, state=JobState.RUNNING, run=None))
        self._fail_job(entry.number, reason, why, entry.worker)

    def reported(self, feedback: Feedback, now: float) -> None:
        """A worker has a complete result."""
        job, run = self._ledger.job(feedback.number), self._ledger.run(feedback.run)
        if job is None or (run and run.state is RunState.REPORTED):
            return
        corrupt = run is not None and run.reason is Reason.CORRUPT
        if corrupt or (job.state.settled and not _may_still_come(job)):
            self._superfluous(feedback, job, run)
            return
        entry = replace(
            run or _new(feedback.worker, feedback),
            state=RunState.REPORTED,
            place=feedback.place,
            manifest=feedback.manifest,
            started_at=feedback.started_at,
            reached=feedback.reached,
            triggered=feedback.triggered,
            ended_at=now,
            fetch_at=now,
            fetches=0,
            reason=None,
            message="",
        )
        self._ledger.save_run(entry)
        # of a run that was given up the job has another message by now, which goes once the job is settled
        queue_id = None if run is None or run.state is RunState.RUNNING else job.queue_id
        after = replace(_counted(job, RunState.REPORTED, run), state=JobState.RUNNING, queue_id=queue_id)
        self._ledger.save_job(after)

    def _superfluous(self, feedback: Feedback, job: JobEntry, run: RunEntry | None) -> None:
        """The job has its result, or this one is none: its folder may go once the other is safe in WORKDIR."""
        if job.state is JobState.FETCHED and job.run == feedback.run:
            return
        self.outbox.forget[feedback.worker].add(feedback.run)
        if run and run.state in {RunState.RUNNING, RunState.LOST}:
            self._move(run, RunState.DROPPED, was=run, message="its job was settled by another run")

    def kept(self, entry: RunEntry) -> JobEntry | None:
        """The job whose result a fetched one is, as the first one is; else None. `entry` was just read."""
        job = self._ledger.job(entry.number)
        if job is None or entry.state is not RunState.REPORTED or job.state.settled:
            self.drop(entry)
            return None
        self._ledger.save_run(replace(entry, state=RunState.KEPT))
        fetched = replace(job, state=JobState.FETCHED, run=entry.run, reason=None, message="")
        self._ledger.save_job(fetched)
        return fetched

    def drop(self, entry: RunEntry) -> None:
        """A result that is not needed."""
        self.outbox.forget[entry.worker].add(entry.run)
        if entry.state is RunState.REPORTED:
            self._move(entry, RunState.DROPPED, was=entry, message="its job was settled by another run")

    def done(self, entry: RunEntry) -> JobEntry | None:
        """A job's result is in WORKDIR: its worker may delete it. The job, where that is news."""
        job = self._ledger.job(entry.number)
        if not job or job.state is not JobState.FETCHED or job.run != entry.run:
            return None
        after = replace(job, state=JobState.DONE)
        self._ledger.save_job(after)
        self.outbox.forget[entry.worker].add(entry.run)
        return after

    def _fail_job(self, number: int, reason: Reason, message: str, worker: str) -> None:
        job = self._ledger.job(number)
        if job is None:
            return
        after = after_failure(
            job,
            reason=reason,
            message=message,
            worker=worker,
            max_attempts=self._max_attempts,
            others=self._able(),
            live_runs=self._live(number),
        )
        self._save(job, after)

    def _save(self, before: JobEntry, after: JobEntry) -> None:
        if after == before:
            return
        self._ledger.save_job(after)
        extra = facts(after.job, number=after.number, reason=after.reason and after.reason.value)
        if after.state is JobState.DEAD:
            log.error("job %s is dead after %d attempts: %s", after.job, after.attempts, after.message, extra=extra)
        elif after.reason:
            log.warning("job %s goes out again: %s", after.job, after.message, extra=extra)

    def _able(self) -> set[str]:
        return {entry.worker for entry in self._ledger.workers() if entry.able}

    def _live(self, number: int) -> int:
        return len(self._ledger.runs(RunState.RUNNING, RunState.REPORTED, number=number))

    def _move(self, entry: RunEntry, state: RunState, *, was: RunEntry | None, **facts: Any) -> None:
        """Save a run in its new state, and its job's attempts."""
        self._ledger.save_run(replace(entry, state=state, **facts))
        job = self._ledger.job(entry.number) if _delta(state, was) else None
        if job:
            self._ledger.save_job(_counted(job, state, was))


def _may_still_come(job: JobEntry) -> bool:
    """A job that was given up for want of a result is glad of one that comes late."""
    return job.state is JobState.DEAD and job.reason not in {Reason.DROPPED, Reason.CANCELLED}


def _counted(job: JobEntry, state: RunState, was: RunEntry | None) -> JobEntry:
    """The job with its attempts, its runs that were not called off, after a run of it has come into a state."""
    return replace(job, attempts=max(0, job.attempts + _delta(state, was)))


def _delta(state: RunState, was: RunEntry | None) -> int:
    return (state not in _UNCOUNTED) - (was is not None and was.state not in _UNCOUNTED)


def _new(worker: str, told: RunStatus | Feedback | Grave) -> RunEntry:
    return RunEntry(run=told.run, number=told.number, attempt=told.attempt, worker=worker, state=RunState.RUNNING)


def _facts(status: RunStatus) -> dict[str, Any]:
    return {
        "started_at": status.started_at,
        "phase": status.phase,
        "phase_since": status.since,
        "cpus": status.cpus,
        "triggered": status.triggered,
        "reason": None,
        "message": "",
    }


def _reason(value: str) -> Reason:
    """A newer worker may know reasons that we do not."""
    try:
        return Reason(value)
    except ValueError:
        return Reason.INTERNAL
