"""A beanstalkd in memory, for tests: one thread, and the time of a clock that they turn."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from magma_remote.ports import Clock

READY, RESERVED, DELAYED, BURIED = "ready", "reserved", "delayed", "buried"


@dataclass(kw_only=True)
class Message:
    """What the server knows of a message: `until` is when its reservation or its delay ends."""

    id: int
    tube: str
    body: bytes
    priority: int
    ttr: int
    put_at: float
    state: str = READY
    holder: int = 0
    until: float = 0.0
    reserves: int = 0
    releases: int = 0
    timeouts: int = 0


class MemoryServer:
    """A beanstalkd: its reservations are their connections', and end with them or with their TTR.

    While it is `forgetful` a TTR ends a reservation only once its connection has spoken: see `DeliveryStats.left`.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.forgetful = False
        self.up = True
        self._messages: dict[int, Message] = {}
        self._connections: set[int] = set()
        self._connection_numbers = count(1)
        self._starts = 1
        self._next = 1

    @property
    def id(self) -> str:
        """Another one after each start."""
        return f"start-{self._starts}"

    def messages(self, tube: str | None = None) -> list[Message]:
        """Those of a tube, or all, in the order in which they would be served."""
        self._tick()
        found = (message for message in self._messages.values() if tube in {None, message.tube})
        return sorted(found, key=lambda message: (message.priority, message.id))

    def stop(self, *, binlog: bool = True) -> None:
        """End at once; without a binlog everything in it is lost."""
        self.messages()  # what ended before this moment ended
        self.up = False
        self.cut(self._connections)
        if not binlog:
            self._messages.clear()

    def start(self) -> None:
        """Read the binlog: counters and ages begin anew, and ids after the highest that is left."""
        for message in self._messages.values():
            message.reserves = message.releases = message.timeouts = 0
            message.put_at = self.clock.monotonic()
        self._starts += 1
        self._next = max(self._messages, default=0) + 1
        self.up = True

    def restart(self, *, binlog: bool = True) -> None:
        """Stop and start."""
        self.stop(binlog=binlog)
        self.start()

    def wipe(self) -> None:
        """Start anew without the binlog."""
        self.restart(binlog=False)

    def connect(self) -> int:
        """A new connection's number."""
        connection = next(self._connection_numbers)
        self._connections.add(connection)
        return connection

    def connected(self, connection: int) -> bool:
        """Whether the server has this connection."""
        return connection in self._connections

    def replied(self, connection: int) -> None:
        """A command of this connection is done: only now its reservations are looked at."""
        for message in self._messages.values():
            if message.state == RESERVED and message.holder == connection:
                self._expire(message)

    def cut(self, connections: Iterable[int]) -> None:
        """End connections: what they reserved is ready again, at its old place."""
        gone = set(connections)
        self._connections -= gone
        for message in self._messages.values():
            if message.state == RESERVED and message.holder in gone:
                message.state, message.holder = READY, 0

    def put(self, tube: str, body: bytes, *, priority: int, delay: int, ttr: int) -> int:
        """Add a message; its id."""
        number, self._next = self._next, self._next + 1
        message = Message(
            id=number, tube=tube, body=body, priority=priority, ttr=max(ttr, 1), put_at=self.clock.monotonic()
        )
        self._messages[number] = message
        self.give_back(message, delay=delay)
        return number

    def find(self, number: int) -> Message | None:
        """A message by its id."""
        self._tick()
        return self._messages.get(number)

    def reserve(self, message: Message, connection: int) -> None:
        """Make it the connection's for its TTR."""
        message.state, message.holder = RESERVED, connection
        message.reserves += 1
        self.touch(message)

    def touch(self, message: Message) -> None:
        """Let the reservation last another TTR."""
        message.until = self.clock.monotonic() + message.ttr

    def give_back(self, message: Message, *, delay: int) -> None:
        """Make it ready, now or later."""
        message.state, message.holder = DELAYED if delay else READY, 0
        message.until = self.clock.monotonic() + delay

    def delete(self, message: Message) -> None:
        """Forget it."""
        del self._messages[message.id]

    def _tick(self) -> None:
        for message in self._messages.values():
            if message.state == DELAYED or (message.state == RESERVED and not self.forgetful):
                self._expire(message)

    def _expire(self, message: Message) -> None:
        if message.until <= self.clock.monotonic():
            message.timeouts += message.state == RESERVED
            message.state, message.holder = READY, 0
