"""What a worker tells of runs that are over, until the dispatcher has confirmed it."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from magma_remote.errors import WireError
from magma_remote.model.messages import Feedback, Grave, Tube, shortened
from magma_remote.model.outcome import Reason
from magma_remote.ports import Kept
from magma_remote.runtime.logs import facts

if TYPE_CHECKING:
    from magma_remote.model.messages import Broadcast
    from magma_remote.ports import Queue, RunEnded, Station
    from magma_remote.runtime.worker.holding import Held, Holding

log = logging.getLogger(__name__)

_AGAIN_SECONDS = 600.0
_LONGEST_MESSAGE = 2000


class Reporting:
    """Puts feedback or a grave for each run that ended, and only then deletes its job.

    A result that nobody confirms is told of again: after a restart of either side, and from time to time.
    """

    def __init__(self, queue: Queue, station: Station, holding: Holding, worker: str) -> None:
        self._queue = queue
        self._station = station
        self._holding = holding
        self._worker = worker
        self._ended: deque[RunEnded] = deque()
        self._told: tuple[str, str] | None = None
        self._told_at = float("-inf")

    @property
    def waiting(self) -> int:
        """How many ended runs are not told yet."""
        return len(self._ended)

    def add(self, ended: RunEnded) -> None:
        """Remember a run that ended."""
        self._ended.append(ended)

    def put(self) -> None:
        """Tell of all runs that ended."""
        while self._ended:
            self._tell(self._ended[0])
            self._ended.popleft()

    def put_complete(self) -> None:
        """Tell of results alone; the other runs stay in hand."""
        self._ended = deque(ended for ended in self._ended if ended.reason is None)
        self.put()

    def tell_soon(self) -> None:
        """Let `tell_again` tell the next time: a campaign has begun, or goes on."""
        self._told = None

    def tell_again(self, broadcast: Broadcast, server: str, now: float) -> None:
        """Tell of results that are not confirmed, where this queue or campaign may not have heard of them."""
        if self._told == (broadcast.config_id, server) and now - self._told_at < _AGAIN_SECONDS:
            return
        told = self._queue.tube_stats(Tube.FEEDBACK)
        if self._told and told.total > told.buried:
            return  # what was told before has not been read yet
        for kept in self._station.kept():
            if kept.assignment.config_id == broadcast.config_id:
                self._queue.put(Tube.FEEDBACK, _fitting(kept.feedback(self._worker)))
        self._told, self._told_at = (broadcast.config_id, server), now

    def _tell(self, ended: RunEnded) -> None:
        held = self._holding.get(ended.run)
        if held is None:
            return
        if ended.reason is None:
            kept = Kept(assignment=held.assignment, ended=ended)
            self._queue.put(Tube.FEEDBACK, _fitting(kept.feedback(self._worker)))
        else:
            self._queue.put(Tube.GRAVEYARD, _fitting_grave(self._grave(held, ended)))
        self._holding.delete(held)
        reason = ended.reason and ended.reason.value
        extra = facts(held.assignment.job, run=ended.run, action="end", reason=reason)
        how = f"{reason}: {held.given_up or ended.message}" if reason else "complete"
        log.log(logging.WARNING if reason else logging.INFO, "%s: %s", held.assignment.job, how, extra=extra)

    def _grave(self, held: Held, ended: RunEnded) -> Grave:
        reason = Reason.SUPERSEDED if held.given_up else ended.reason or Reason.INTERNAL
        return Grave(
            config_id=held.assignment.config_id,
            number=held.assignment.number,
            run=ended.run,
            attempt=held.assignment.attempt,
            worker=self._worker,
            reason=reason.value,
            message=(held.given_up or ended.message)[:_LONGEST_MESSAGE],
            tail=shortened(ended.tail),
            log=ended.log,
        )


def _fitting(feedback: Feedback) -> bytes:
    """Without its bugs where the queue has no room for them: they are in the result."""
    try:
        return feedback.encode()
    except WireError:
        return replace(feedback, reached=(), triggered=()).encode()


def _fitting_grave(grave: Grave) -> bytes:
    """Without its tail where the queue has no room for it: its log has it all."""
    try:
        return grave.encode()
    except WireError:
        return replace(grave, tail=()).encode()
