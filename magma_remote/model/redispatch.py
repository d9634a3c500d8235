"""What becomes of a job when one of its runs is over without a result."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .entries import JobState
from .outcome import Reason

if TYPE_CHECKING:
    from collections.abc import Collection

    from .entries import JobEntry

NO_FAULT = frozenset({Reason.CONFIG, Reason.SUPERSEDED})
"""Reasons that say nothing about the job: such a run does not count as an attempt."""


def after_failure(
    entry: JobEntry,
    *,
    reason: Reason,
    message: str,
    worker: str,
    max_attempts: int,
    others: Collection[str],
    live_runs: int,
) -> JobEntry:
    """The job's entry after a failed run; it stays as it is while another run of it is live, or where it is settled.

    `others` are live workers that could take it. It avoids those that failed it as long as there is one that did not.
    """
    if entry.state.settled or live_runs:
        return entry
    failed = replace(entry, reason=reason, message=message, queue_id=None)
    if reason in NO_FAULT:
        return replace(failed, state=JobState.WAITING, reason=entry.reason, message=entry.message)
    if entry.attempts >= max_attempts:
        return replace(failed, state=JobState.DEAD)
    avoid = {*entry.avoid, worker}
    return replace(failed, state=JobState.WAITING, avoid=tuple(sorted(avoid)) if set(others) - avoid else ())


def after_loss(entry: JobEntry, *, message: str, max_attempts: int, live_runs: int) -> JobEntry:
    """The job's entry when a worker with a run of it is gone: its message is ready again, if the queue still has it.

    A job that has lost its workers too often is dead; its message has to be removed.
    """
    if entry.state.settled or live_runs:
        return entry
    lost = replace(entry, reason=Reason.LOST, message=message)
    if entry.attempts >= max_attempts:
        return replace(lost, state=JobState.DEAD)
    return replace(lost, state=JobState.WAITING if entry.queue_id is None else JobState.QUEUED)
