"""What a worker says of itself: heartbeats, of which the queue holds one at the most."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from magma_remote.errors import WireError
from magma_remote.model.heartbeat import Heartbeat, Inability, RunStatus, WorkerState
from magma_remote.model.messages import Tube
from magma_remote.ports import Delivery

if TYPE_CHECKING:
    from collections.abc import Collection

    from magma_remote.ports import Clock, Prepared, Queue, Station
    from magma_remote.runtime.worker.following import Following
    from magma_remote.runtime.worker.holding import Held, Holding

_EVERY_SECONDS = 15.0  # at the most
_TIMES = 8  # in a TTR: who is silent for a little more than one is lost


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who a worker is: `worker` is its id for ever, `name` and `host` are for people and for fetching."""

    worker: str
    name: str
    host: str
    version: str


class Telling:
    """Composes heartbeats and says what is due."""

    def __init__(
        self,
        identity: Identity,
        following: Following,
        holding: Holding,
        *,
        queue: Queue,
        station: Station,
        clock: Clock,
    ) -> None:
        self._identity = identity
        self._following = following
        self._holding = holding
        self._station = station
        self._clock = clock
        self._pulse = Pulse(queue)

    def tell(self, state: WorkerState, *, waiting: Collection[str], returned: tuple[str, ...]) -> None:
        """Say what there is to say; runs in `waiting` are about to start, those in `returned` were given up."""
        heartbeat, now = self._heartbeat(state, waiting, returned), self._clock.monotonic()
        if self._pulse.due(heartbeat, now, every=self._every()):
            self._pulse.beat(heartbeat, now)

    def _every(self) -> float:
        broadcast = self._following.broadcast
        return min(_EVERY_SECONDS, broadcast.ttr / _TIMES) if broadcast else _EVERY_SECONDS

    def _heartbeat(self, state: WorkerState, waiting: Collection[str], returned: tuple[str, ...]) -> Heartbeat:
        following, prepared = self._following, self._following.prepared
        runs = () if state is WorkerState.STOPPED else self._holding
        return Heartbeat(
            config_id=following.config_id,
            worker=self._identity.worker,
            name=self._identity.name,
            host=self._identity.host,
            state=state,
            at=self._clock.now(),
            detail=self._station.progress() if state is WorkerState.PREPARING else following.detail,
            sets=prepared.sets if prepared else (),
            housekeeping=prepared.housekeeping if prepared else (),
            runs=tuple(self._status(held, begun=held.run not in waiting) for held in runs),
            returned=returned,
            cannot=_cannot(prepared),
            version=self._identity.version,
        )

    def _status(self, held: Held, *, begun: bool) -> RunStatus:
        phase, since, triggered = self._station.status(held.run) if begun else ("starting", held.started_at, ())
        return RunStatus(
            run=held.run,
            number=held.assignment.number,
            attempt=held.assignment.attempt,
            phase=phase,
            since=since,
            started_at=held.started_at,
            cpus=held.assignment.cpus,
            triggered=triggered,
            leaving=bool(held.given_up),
        )


def _cannot(prepared: Prepared | None) -> tuple[Inability, ...]:
    return tuple(Inability(fuzzer=fuzzer, why=why) for fuzzer, why in prepared.cannot.items()) if prepared else ()


class Pulse:
    """Puts heartbeats; one that nobody has read yet is replaced, so that a dispatcher that was away finds no flood."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._last: Delivery | None = None
        self._said: Heartbeat | None = None
        self._at = float("-inf")

    def due(self, heartbeat: Heartbeat, now: float, *, every: float) -> bool:
        """Whether there is something new to say, or nothing was said for `every` seconds."""
        return now - self._at >= every or self._said is None or _news(heartbeat) != _news(self._said)

    def beat(self, heartbeat: Heartbeat, now: float) -> None:
        """Say it."""
        body = _fitting(heartbeat)
        if self._last and not self._queue.delete(self._last):
            self._remove_from_before(self._last)
        number = self._queue.put(Tube.EVENTS, body)
        session = self._queue.session(Tube.EVENTS)
        self._last = Delivery(tube=Tube.EVENTS, id=number, body=body, session=session)
        self._said, self._at = heartbeat, now

    def _remove_from_before(self, last: Delivery) -> None:
        """An id of an earlier connection may be another message's by now: its text tells."""
        found = self._queue.peek(Tube.EVENTS, last.id)
        if found and found.body == last.body:
            self._queue.delete(found)


def _news(heartbeat: Heartbeat) -> object:
    """What is worth telling at once."""
    return replace(heartbeat, at=0.0, runs=()), {status.run for status in heartbeat.runs}


def _fitting(heartbeat: Heartbeat) -> bytes:
    """Leave out what the queue has no room for: first the bugs, which the results tell as well."""
    try:
        return heartbeat.encode()
    except WireError:
        runs = tuple(replace(status, triggered=(), cpus=()) for status in heartbeat.runs)
        return replace(heartbeat, runs=runs, sets=()).encode()
