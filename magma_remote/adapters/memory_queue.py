"""Processes that talk to a beanstalkd in memory, and what may come between."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from magma_remote.adapters.memory_server import BURIED, DELAYED, READY, RESERVED, MemoryServer, Message
from magma_remote.errors import QueueError, QueueGoneError
from magma_remote.model.wire import LARGEST
from magma_remote.ports import NORMAL, Delivery, DeliveryStats, TubeStats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["MemoryQueue", "MemoryServer"]

P = ParamSpec("P")
T = TypeVar("T")

_CONTROL = "default"


def _answered(
    method: Callable[Concatenate[MemoryQueue, P], T],
) -> Callable[Concatenate[MemoryQueue, P], T]:
    """Lose the reply of a call where `lose_reply` wants that."""

    @wraps(method)
    def call(self: MemoryQueue, /, *args: P.args, **kwargs: P.kwargs) -> T:
        reply = method(self, *args, **kwargs)
        self._reply()
        return reply

    return call


class MemoryQueue:
    """A process's `Queue` on a MemoryServer.

    A process that is frozen makes no calls: let the clock pass, and its reservations run out. One that is killed
    is `close`d.
    """

    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        self._connections: dict[str, int] = {}
        self._sessions: dict[str, int] = {}
        self._reachable = True
        self._loses_reply = False
        self._last = 0

    def partition(self, *, noticed: bool = True) -> None:
        """Let each call raise QueueGoneError until `heal`.

        The server gives back at once what this process holds or, where it has not `noticed`, at its TTR.
        """
        self._reachable = False
        if noticed:
            self._server.cut(self._connections.values())

    def heal(self) -> None:
        """Reach the server again, through connections that outlived the partition, or new ones."""
        self._reachable = True

    def lose_reply(self) -> None:
        """Let the server do what the next call asks, and all connections break before it can say so."""
        self._loses_reply = True

    @_answered
    def put(self, tube: str, body: bytes, *, priority: int = NORMAL, delay: int = 0, ttr: int = 120) -> int:
        """See `Queue.put`."""
        if len(body) > LARGEST:
            raise QueueError(f"tube {tube}: a message of {len(body)} bytes is refused, the queue takes up to {LARGEST}")
        self._connection(tube)
        return self._server.put(tube, body, priority=priority, delay=delay, ttr=ttr)

    @_answered
    def reserve(self, tube: str) -> Delivery | None:
        """See `Queue.reserve`."""
        connection = self._connection(tube)
        found = self._first(tube)
        if found:
            self._server.reserve(found, connection)
        return self._delivery(found)

    def put_all(self, tube: str, bodies: Sequence[bytes], *, delay: int = 0, ttr: int = 120) -> list[int]:
        """See `Queue.put_all`."""
        return [self.put(tube, body, delay=delay, ttr=ttr) for body in bodies]

    def reserve_all(self, tube: str, most: int) -> list[Delivery]:
        """See `Queue.reserve_all`."""
        found: list[Delivery] = []
        while len(found) < most and (message := self.reserve(tube)):
            found.append(message)
        return found

    def delete_all(self, tube: str, messages: Sequence[Delivery]) -> None:
        """See `Queue.delete_all`."""
        for message in messages:
            if message.tube == tube:
                self.delete(message)

    @_answered
    def take(self, tube: str, number: int) -> Delivery | None:
        """See `Queue.take`."""
        connection = self._connection(tube)
        found = self._server.find(number)
        if not found or found.tube != tube or found.state == RESERVED:
            return None
        self._server.reserve(found, connection)
        return self._delivery(found)

    @_answered
    def delete(self, message: Delivery) -> bool:
        """See `Queue.delete`."""
        found = self._found(message)
        if not found or (found.state == RESERVED and found.holder != self._connections[message.tube]):
            return False
        self._server.delete(found)
        return True

    @_answered
    def release(self, message: Delivery, *, priority: int = NORMAL, delay: int = 0) -> bool:
        """See `Queue.release`."""
        if found := self._held(message):
            found.priority = priority
            found.releases += 1
            self._server.give_back(found, delay=delay)
        return found is not None

    @_answered
    def bury(self, message: Delivery, *, priority: int = NORMAL) -> bool:
        """See `Queue.bury`."""
        if found := self._held(message):
            found.priority = priority
            found.state, found.holder = BURIED, 0
        return found is not None

    @_answered
    def touch(self, message: Delivery) -> bool:
        """See `Queue.touch`."""
        if found := self._held(message):
            self._server.touch(found)
        return found is not None

    @_answered
    def peek(self, tube: str, number: int) -> Delivery | None:
        """See `Queue.peek`."""
        self._connection(tube)
        found = self._server.find(number)
        return self._delivery(found) if found and found.tube == tube else None

    @_answered
    def peek_ready(self, tube: str) -> Delivery | None:
        """See `Queue.peek_ready`."""
        self._connection(tube)
        return self._delivery(self._first(tube))

    @_answered
    def stats(self, message: Delivery) -> DeliveryStats | None:
        """See `Queue.stats`."""
        found = self._found(message)
        if not found:
            return None
        return DeliveryStats(
            state=found.state,
            priority=found.priority,
            age=int(self._server.clock.monotonic() - found.put_at),
            reserves=found.reserves,
            releases=found.releases,
            timeouts=found.timeouts,
            left=int(found.until - self._server.clock.monotonic()) if found.state in {RESERVED, DELAYED} else 0,
        )

    @_answered
    def tube_stats(self, tube: str) -> TubeStats:
        """See `Queue.tube_stats`."""
        self._connection(_CONTROL)
        states = [message.state for message in self._server.messages(tube)]
        return TubeStats(**{state: states.count(state) for state in (READY, RESERVED, DELAYED, BURIED)})

    @_answered
    def server(self) -> str:
        """See `Queue.server`."""
        self._connection(_CONTROL)
        return self._server.id

    def session(self, tube: str) -> int:
        """See `Queue.session`."""
        return self._sessions.get(tube, 0)

    def close(self) -> None:
        """See `Queue.close`."""
        if self._reachable:  # else nobody tells the server
            self._server.cut(self._connections.values())
        self._connections.clear()

    def _reply(self) -> None:
        self._server.replied(self._last)
        if self._loses_reply:
            self._loses_reply = False
            self._server.cut(self._connections.values())
            self._connections.clear()
            raise QueueGoneError("queue in memory: the connection broke before the reply")

    def _connection(self, tube: str) -> int:
        """The tube's connection, made where there is none; one that broke says so once."""
        here = self._connections.get(tube)
        alive = self._reachable and self._server.up and (here is None or self._server.connected(here))
        if not alive:
            self._connections.pop(tube, None)
            raise QueueGoneError("queue in memory: it cannot be reached, or the connection broke")
        if here is None:
            here = self._connections[tube] = self._server.connect()
            self._sessions[tube] = self.session(tube) + 1
        self._last = here
        return here

    def _first(self, tube: str) -> Message | None:
        return next((message for message in self._server.messages(tube) if message.state == READY), None)

    def _found(self, message: Delivery) -> Message | None:
        self._connection(message.tube)
        return self._server.find(message.id) if message.session == self.session(message.tube) else None

    def _held(self, message: Delivery) -> Message | None:
        found = self._found(message)
        mine = found and found.state == RESERVED and found.holder == self._connections[message.tube]
        return found if mine else None

    def _delivery(self, found: Message | None) -> Delivery | None:
        session = self.session(found.tube) if found else 0
        return Delivery(tube=found.tube, id=found.id, body=found.body, session=session) if found else None
