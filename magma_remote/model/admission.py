"""Whether a worker runs the job that it has just reserved."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .messages import JobMessage

_SOON = 2
_LATER = 20


class Choice(Enum):
    """RUN it, give it back for LATER, or tell the dispatcher that it is LOST again and again."""

    RUN = "run"
    LATER = "later"
    LOST = "lost"


@dataclass(frozen=True, kw_only=True)
class Admission:
    """What to do with a job. `delay` is in seconds; `returning` marks one that has waited for its last worker."""

    choice: Choice
    delay: int = 0
    returning: bool = False


@dataclass(frozen=True, kw_only=True)
class History:
    """What the queue knows of a job: counts as in `ports.DeliveryStats`."""

    reserves: int
    releases: int
    timeouts: int
    returning: bool = False

    @property
    def broken(self) -> int:
        """Earlier reservations that were not given back on purpose: their worker, or its connection, was lost."""
        return max(0, self.reserves - 1 - self.releases)


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """What a worker can do now: `free` CPUs, `demands` per fuzzer, `cannot` names fuzzers, `running` job numbers."""

    worker: str
    free: int
    demands: Mapping[str, int]
    cannot: Collection[str]
    running: Collection[int]


def admit(message: JobMessage, history: History, abilities: Abilities, *, ttr: int, max_attempts: int) -> Admission:
    """Decide.

    A job whose connection broke waits half a TTR, once, for the worker that still runs it. One that was not touched in
    time does not: it has waited for a whole TTR. `LOST` comes before a run too many, whatever the dispatcher knows.
    """
    if history.broken >= max_attempts and message.number not in abilities.running:
        return Admission(choice=Choice.LOST)
    lost_once = bool(history.broken) and not history.timeouts and not history.returning
    if message.number in abilities.running or lost_once:
        return Admission(choice=Choice.LATER, delay=max(1, ttr // 2), returning=history.returning or lost_once)
    if delay := _delay(message, abilities):
        return Admission(choice=Choice.LATER, delay=delay, returning=history.returning)
    return Admission(choice=Choice.RUN)


def _delay(message: JobMessage, abilities: Abilities) -> int:
    """Seconds for which the job is left to others; 0 where it is ours."""
    if message.job.fuzzer in abilities.cannot:
        return _LATER
    avoided = abilities.worker in message.avoid  # the dispatcher lifts this where nobody else is there
    too_wide = abilities.demands.get(message.job.fuzzer, 1) > abilities.free
    return _SOON if avoided or too_wide else 0
