"""The runs that a worker has in hand, and their jobs' messages in the queue."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from magma_remote.model.messages import Tube
from magma_remote.ports import NORMAL
from magma_remote.runtime.logs import facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from magma_remote.ports import Assignment, Delivery, Queue

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Held:
    """A run and its job's message: None where the queue has lost it, which costs the run nothing.

    `reserves` counts reservations of the message up to ours: more of them are somebody else's. `given_up` says why its
    end is no news to anybody: its job is settled, or another worker's.
    """

    assignment: Assignment
    message: Delivery | None
    reserves: int
    started_at: float
    given_up: str = ""

    @property
    def run(self) -> str:
        """The run's name."""
        return self.assignment.run


class Holding:
    """Keeps the reservations of all runs alive: the one place that touches."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._held: dict[str, Held] = {}
        self._touched_at = 0.0

    def __iter__(self) -> Iterator[Held]:
        return iter(list(self._held.values()))

    def __len__(self) -> int:
        return len(self._held)

    def get(self, run: str) -> Held | None:
        """One run, None where it is not in hand."""
        return self._held.get(run)

    def add(self, held: Held) -> None:
        """Take a run in hand."""
        self._held[held.run] = held

    def remove(self, run: str) -> None:
        """Let a run go, whose message is settled."""
        self._held.pop(run, None)

    def delete(self, held: Held) -> None:
        """Let a run go and delete its message, which may have to be taken back for that after a broken connection."""
        message = held.message
        if message and not self._queue.delete(message) and self._keep(held, message) and held.message:
            self._queue.delete(held.message)
        self.remove(held.run)

    def keep(self, now: float, *, every: float) -> list[Held]:
        """Touch what is due; the runs whose jobs are found to be another worker's."""
        session = self._queue.session(Tube.JOBS)
        broken = any(held.message and held.message.session != session for held in self)
        if now - self._touched_at < every and not broken:
            return []
        taken_over = [held for held in self if held.message and not self._keep(held, held.message)]
        self._touched_at = now  # only now: a queue that goes away meanwhile is asked again at once
        return taken_over

    def _keep(self, held: Held, message: Delivery) -> bool:
        """False where somebody else has the job."""
        if self._queue.touch(message):
            return True
        back = self._queue.take(Tube.JOBS, message.id)
        if back and back.body == message.body:
            held.message = self._unmarked(back)
            held.reserves = self._reserves(back) or held.reserves
            log.info("%s was taken back after a broken connection", held.assignment.job, extra=_facts(held))
            return True
        if back:
            self._queue.release(back)
        found = self._queue.peek(Tube.JOBS, message.id)
        if found and found.body == message.body:
            return self._is_ours(held, found)
        held.message = None
        log.warning("the queue has lost %s; its run goes on", held.assignment.job, extra=_facts(held))
        return True

    def _is_ours(self, held: Held, found: Delivery) -> bool:
        """Whether a reserved message is reserved by a connection of ours, whose end the server has not noticed yet."""
        if self._reserves(found) == held.reserves:
            return True  # it is ready again when its TTR is over, or the server notices
        held.message = None
        return False

    def _reserves(self, message: Delivery) -> int:
        stats = self._queue.stats(message)
        return stats.reserves if stats else 0

    def _unmarked(self, message: Delivery) -> Delivery:
        """Take away the mark of a job that has waited for its worker: the next time it waits again."""
        stats = self._queue.stats(message)
        if stats is None or stats.priority == NORMAL or not self._queue.release(message):
            return message
        return self._queue.take(Tube.JOBS, message.id) or message


def _facts(held: Held) -> dict[str, Any]:
    return facts(held.assignment.job, run=held.run)
