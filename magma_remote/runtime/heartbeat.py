"""A worker's last word on itself, of which the queue holds one at the most."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from magma_remote.errors import WireError
from magma_remote.model.messages import Tube
from magma_remote.ports import Delivery

if TYPE_CHECKING:
    from magma_remote.model.messages import Heartbeat
    from magma_remote.ports import Queue


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
        return replace(heartbeat, runs=tuple(replace(status, triggered=()) for status in heartbeat.runs)).encode()
