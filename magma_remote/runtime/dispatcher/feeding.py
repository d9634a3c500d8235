"""Keeps the queue's `jobs` as the ledger says it should be."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from magma_remote.errors import WireError
from magma_remote.model.entries import JobState, RunState
from magma_remote.model.messages import JobMessage, Tube
from magma_remote.model.outcome import MACHINE_FAULTS, Reason
from magma_remote.runtime.dispatcher.supply import bury_late

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from magma_remote.model.entries import JobEntry
    from magma_remote.ports import Clock, Delivery, Ledger, Queue

log = logging.getLogger(__name__)

_AT_ONCE = 50  # so many go out twice where the connection breaks while they are put
BATCH = 500
"""Jobs that are put between two commits: so many go out twice where we are killed in between."""

_LOOK_SECONDS = 10.0
_SHORT_LOOKS = 3  # a worker deletes a job before we have read its report: only what stays short is missing
_AUDIT_SECONDS = 600.0
_FORGOTTEN_SECONDS = 5
_MACHINE_PAUSE = 30  # seconds for a machine in trouble to mend, or to say that it is


class Feeding:
    """Puts jobs that wait, removes those that are settled, finds those that the queue has lost.

    Those whose (fuzzer, target) is in `missing` have no image: they are dead instead.
    """

    def __init__(
        self,
        config_id: str,
        queue: Queue,
        ledger: Ledger,
        clock: Clock,
        *,
        ttr: int,
        missing: frozenset[tuple[str, str]] = frozenset(),
    ) -> None:
        self._config_id = config_id
        self._queue = queue
        self._ledger = ledger
        self._clock = clock
        self._ttr = ttr
        self._no_image = missing
        self._server = ""
        self._looked_at = self._audited_at = float("-inf")
        self._short = 0
        self._missing: list[int] = []

    def feed(self) -> int:
        """Put jobs that wait; how many. What a look found missing is put again first, now that all reports are read."""
        self._put_back()
        waiting = list(self._ledger.jobs(JobState.WAITING, limit=BATCH))
        buried = bury_late(self._ledger, waiting, self._no_image)
        waiting = [entry for entry in waiting if entry.number not in buried]
        put: dict[int, int] = {}
        try:
            for part in self._put(waiting):
                put |= part
        finally:  # what was put before the connection broke is known
            self._note(put)
        self._look()
        return len(put)

    def _note(self, put: Mapping[int, int]) -> None:
        with self._ledger.transaction():
            for number, queue_id in put.items():
                entry = self._ledger.job(number)
                if entry:
                    state = JobState.QUEUED if entry.state is JobState.WAITING else entry.state
                    self._ledger.save_job(replace(entry, state=state, queue_id=queue_id))

    def sweep(self) -> None:
        """Remove the messages of settled jobs; a worker that has one reserved is told to stop by its next heartbeat."""
        for entry in list(self._ledger.queued(settled=True)):
            message = self._find(entry)
            if message is None or self._queue.delete(message):
                self._forget(entry.number, entry.queue_id)

    def _put(self, waiting: Sequence[JobEntry]) -> Iterator[dict[int, int]]:
        """Put the jobs, part by part; their messages' ids by their numbers."""
        for delay, same in groupby(waiting, _pause):
            entries = list(same)
            for at in range(0, len(entries), _AT_ONCE):
                part = entries[at : at + _AT_ONCE]
                bodies = [self._message(entry).encode() for entry in part]
                queue_ids = self._queue.put_all(Tube.JOBS, bodies, delay=delay, ttr=self._ttr)
                yield dict(zip((entry.number for entry in part), queue_ids, strict=True))

    def _message(self, entry: JobEntry) -> JobMessage:
        return JobMessage(
            config_id=self._config_id,
            number=entry.number,
            attempt=entry.attempts + 1,
            job=entry.job,
            avoid=entry.avoid,
        )

    def _look(self) -> None:
        """Compare counts from time to time, and every message where they stay too low or the server is another."""
        now = self._clock.monotonic()
        if now - self._looked_at < _LOOK_SECONDS:
            return
        server = self._queue.server()
        self._looked_at = now
        expected = self._ledger.unsettled()
        stats = self._queue.tube_stats(Tube.JOBS)
        self._short = self._short + 1 if stats.total - stats.buried < expected else 0
        if server != self._server or self._short >= _SHORT_LOOKS or now - self._audited_at > _AUDIT_SECONDS:
            self._missing = [entry.number for entry in self._ledger.queued(settled=False) if not self._has(entry)]
            self._server, self._audited_at, self._short = server, now, 0
        else:
            lost = self._ledger.queued(settled=False, reason=Reason.LOST)
            self._missing = [entry.number for entry in lost if not self._has(entry)]
        self._lift()
        self.sweep()

    def _lift(self) -> None:
        """Let jobs go to workers that have failed them, where no other one lives that could take them."""
        able = {entry.worker for entry in self._ledger.workers() if entry.able}
        for entry in list(self._ledger.queued(settled=False, avoiding=True)):
            if able and entry.state is JobState.QUEUED and able <= set(entry.avoid) and self._withdraw(entry):
                log.info("%s may go back to a worker that has failed it: no other one is there", entry.job)

    def _withdraw(self, entry: JobEntry) -> bool:
        """Take a job out of the queue, so that it is put again, without anybody to avoid."""
        message = self._find(entry)
        if message is None or not self._queue.delete(message):
            return False
        with self._ledger.transaction():
            now = self._ledger.job(entry.number)
            if now and now.state is JobState.QUEUED and now.queue_id == entry.queue_id:
                self._ledger.save_job(replace(now, state=JobState.WAITING, queue_id=None, avoid=()))
        return True

    def _put_back(self) -> None:
        """Jobs that the queue does not have: they wait again, unless a run of theirs goes on."""
        numbers, self._missing = self._missing, []
        back = 0
        with self._ledger.transaction():
            for number in numbers:
                entry = self._ledger.job(number)
                if entry is None or entry.queue_id is None or entry.state.settled:
                    continue
                live = self._ledger.runs(RunState.RUNNING, RunState.REPORTED, number=number)
                state = entry.state if live else JobState.WAITING
                back += not live
                self._ledger.save_job(replace(entry, state=state, queue_id=None))
        if back:
            log.warning("the queue has lost %d jobs: they are put again", back)

    def _has(self, entry: JobEntry) -> bool:
        """Whether a worker can get the job, or has it.

        beanstalkd 1.12 forgets to end a reservation whose TTR is over, every other time, as long as its holder is
        silent: such a message is as good as lost.
        """
        message = self._find(entry)
        stats = self._queue.stats(message) if message and entry.state is JobState.QUEUED else None
        forgotten = stats is not None and stats.state == "reserved" and stats.left < -_FORGOTTEN_SECONDS
        return message is not None and not forgotten

    def _find(self, entry: JobEntry) -> Delivery | None:
        """A job's message: its id may be another message's by now."""
        found = None if entry.queue_id is None else self._queue.peek(Tube.JOBS, entry.queue_id)
        try:
            message = JobMessage.decode(found.body) if found else None
        except WireError:
            return None
        return found if message and (message.config_id, message.number) == (self._config_id, entry.number) else None

    def _forget(self, number: int, queue_id: int | None) -> None:
        with self._ledger.transaction():
            entry = self._ledger.job(number)
            if entry and entry.queue_id == queue_id:
                self._ledger.save_job(replace(entry, queue_id=None))


def _pause(entry: JobEntry) -> int:
    """Seconds for which a job waits that a machine was at fault for: others may be better by then."""
    return _MACHINE_PAUSE if entry.reason in MACHINE_FAULTS else 0
