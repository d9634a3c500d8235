"""What workers say: events, feedback and graves, from the queue into the ledger."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from magma_remote.model.entries import RunState, WorkerEntry
from magma_remote.model.heartbeat import Heartbeat, WorkerState
from magma_remote.model.messages import Feedback, Grave, Tube
from magma_remote.runtime.mail import read_or_bury

if TYPE_CHECKING:
    from magma_remote.model.entries import RunEntry
    from magma_remote.ports import Clock, Delivery, Ledger, Queue
    from magma_remote.runtime.dispatcher.book import Book

log = logging.getLogger(__name__)

BATCH = 500
"""Messages of a tube that are read in one step."""

T = TypeVar("T", Feedback, Grave, Heartbeat)


class Inbox:
    """Each message is deleted only when what it says is safe in the ledger."""

    def __init__(self, config_id: str, queue: Queue, ledger: Ledger, book: Book, clock: Clock) -> None:
        self._config_id = config_id
        self._queue = queue
        self._ledger = ledger
        self._book = book
        self._clock = clock

    def read(self) -> int:
        """Take in what is there; how many messages.

        A worker reports a run before it leaves it out of its heartbeats. So heartbeats are read first, and what they do
        not speak of any more counts as lost only after all reports have been read.
        """
        beats, beat_mail = self._take(Tube.EVENTS, Heartbeat)
        graves, grave_mail = self._take(Tube.GRAVEYARD, Grave)
        results, result_mail = self._take(Tube.FEEDBACK, Feedback)
        mail = [*beat_mail, *grave_mail, *result_mail]
        if not mail:
            return 0
        now = self._clock.now()
        with self._ledger.transaction():
            for feedback in self._ours(results):
                self._book.reported(feedback, now)
            for grave in self._ours(graves):
                self._book.failed(grave, now)
            for beat in beats:
                self._hear(beat, now)
        if len(mail) < BATCH:
            self._conclude(beats)
        for tube, read in ((Tube.EVENTS, beat_mail), (Tube.GRAVEYARD, grave_mail), (Tube.FEEDBACK, result_mail)):
            self._queue.delete_all(tube, read)
        return len(mail)

    def _take(self, tube: str, kind: type[T]) -> tuple[list[T], list[Delivery]]:
        messages: list[T] = []
        mail: list[Delivery] = []
        for delivery in self._queue.reserve_all(tube, BATCH):
            if message := read_or_bury(self._queue, delivery, kind):
                messages.append(message)
                mail.append(delivery)
        return messages, mail

    def _ours(self, messages: list[T]) -> list[T]:
        stale = [message for message in messages if message.config_id != self._config_id]
        if stale:
            log.info("%d messages of other campaigns are left out", len(stale))
        return [message for message in messages if message.config_id == self._config_id]

    def _hear(self, beat: Heartbeat, now: float) -> None:
        known = self._ledger.worker(beat.worker)
        entry = WorkerEntry(worker=beat.worker, heartbeat=beat, heard_at=now)
        self._ledger.save_worker(entry)
        if beat.state is WorkerState.STOPPED:
            self._ledger.save_worker(replace(entry, lost=True))
        if known is None or (known.lost and beat.state is not WorkerState.STOPPED):
            log.info("worker %s is there: %s %s", beat.name, beat.state.value, beat.detail)
        if beat.config_id != self._config_id:
            return
        for status in beat.runs:
            self._book.running(beat.worker, status)
        for run in beat.returned:
            self._book.returned(run)

    def _conclude(self, beats: list[Heartbeat]) -> None:
        """Runs that their worker does not speak of any more are lost, unless a report of them is still on its way."""
        last = {beat.worker: beat for beat in beats}
        gone = [run for beat in last.values() for run in self._missing(beat)]
        if not gone:
            return
        with self._ledger.transaction():
            for run in gone:
                self._book.lost(run, "its worker was restarted, or lost it")

    def _missing(self, beat: Heartbeat) -> list[RunEntry]:
        """Runs that a worker had and does not speak of any more."""
        listed = {status.run for status in beat.runs} | set(beat.returned)
        return [run for run in self._ledger.runs(RunState.RUNNING, worker=beat.worker) if run.run not in listed]
