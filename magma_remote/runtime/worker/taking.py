"""How a worker comes to its jobs: it reserves one only while CPUs are free, and gives back what it cannot run now."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from magma_remote.model.admission import Abilities, Choice, History, admit
from magma_remote.model.messages import Grave, JobMessage, Tube
from magma_remote.model.outcome import Reason
from magma_remote.ports import NORMAL
from magma_remote.runtime.logs import facts
from magma_remote.runtime.mail import read_or_bury

if TYPE_CHECKING:
    from magma_remote.model.admission import Admission
    from magma_remote.model.messages import Broadcast
    from magma_remote.ports import Delivery, DeliveryStats, Queue

log = logging.getLogger(__name__)

RETURNING = NORMAL - 1
"""Priority of a job that has waited once for the worker whose connection broke."""

MOST_TRIES = 500
"""Reservations in one step, where one job after another is for others: so many come past before the first is back."""


def new_run(number: int) -> str:
    """A name for one execution of a job, unlike all others."""
    return f"{number}-{secrets.token_hex(4)}"


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A reserved job; `reserves` counts its reservations up to this one."""

    delivery: Delivery
    message: JobMessage
    reserves: int


class Taking:
    """Reserves jobs of one campaign for one worker."""

    def __init__(self, queue: Queue, worker: str) -> None:
        self._queue = queue
        self._worker = worker

    def job(self, broadcast: Broadcast, abilities: Abilities) -> Taken | None:
        """A job to run now, after giving back those that are not; None where there is none, or none among so many.

        A job of another campaign comes with the others: the caller knows whether there is a newer broadcast.
        """
        for _ in range(MOST_TRIES):
            delivery = self._queue.reserve(Tube.JOBS)
            if delivery is None:
                return None
            message = read_or_bury(self._queue, delivery, JobMessage)
            if message is None:
                continue
            if message.config_id != broadcast.config_id:
                return Taken(delivery=delivery, message=message, reserves=0)
            stats = self._queue.stats(delivery)
            if stats and self._admit(delivery, message, stats, broadcast, abilities):
                return Taken(delivery=delivery, message=message, reserves=stats.reserves)
        return None

    def fail(self, delivery: Delivery, message: JobMessage, reason: Reason, why: str) -> None:
        """Put a job that was never run on the graveyard."""
        grave = Grave(
            config_id=message.config_id,
            number=message.number,
            run=new_run(message.number),
            attempt=message.attempt,
            worker=self._worker,
            reason=reason.value,
            message=why,
        )
        self._queue.put(Tube.GRAVEYARD, grave.encode())
        self._queue.delete(delivery)
        log.warning("%s goes to the graveyard: %s", message, why, extra=facts(message.job, reason=reason.value))

    def _admit(
        self,
        delivery: Delivery,
        message: JobMessage,
        stats: DeliveryStats,
        broadcast: Broadcast,
        abilities: Abilities,
    ) -> bool:
        history = History(
            reserves=stats.reserves,
            releases=stats.releases,
            timeouts=stats.timeouts,
            returning=stats.priority == RETURNING,
        )
        verdict = admit(message, history, abilities, ttr=broadcast.ttr, max_attempts=broadcast.max_attempts)
        return self._follow(verdict, delivery, message)

    def _follow(self, verdict: Admission, delivery: Delivery, message: JobMessage) -> bool:
        if verdict.choice is Choice.LATER:
            priority = RETURNING if verdict.returning else NORMAL
            self._queue.release(delivery, priority=priority, delay=verdict.delay)
        elif verdict.choice is Choice.LOST:
            self.fail(delivery, message, Reason.LOST, "it came back again and again from workers that were lost")
        return verdict.choice is Choice.RUN
