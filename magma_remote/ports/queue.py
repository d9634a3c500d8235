"""The queue between dispatcher and workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

NORMAL = 1 << 16
"""Priority of a job: beanstalkd serves the lowest number first."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A message of a tube: `id` is the server's, and starts at 1 again with an emptied server.

    `session` is the tube's connection that it came through. With any later one nothing is done to it (False, None):
    its id may be another message's by then.
    """

    tube: str
    id: int
    body: bytes
    session: int


@dataclass(frozen=True, kw_only=True)
class DeliveryStats:
    """`state` is ready, reserved, delayed or buried; `age` in seconds since it was put.

    `reserves` counts this and earlier reservations, `releases` those that were given back on purpose, `timeouts` those
    that nobody touched in time; all start at 0 when the server does. `left` is how many seconds a reservation or a
    delay goes on. Well below 0 the server has forgotten to end the reservation, as beanstalkd 1.12 does every other
    time: the message stays reserved until its holder's connection says something or breaks.
    """

    state: str
    priority: int
    age: int
    reserves: int
    releases: int
    timeouts: int
    left: int = 0


@dataclass(frozen=True, kw_only=True)
class TubeStats:
    """How many messages a tube holds in each state."""

    ready: int = 0
    reserved: int = 0
    delayed: int = 0
    buried: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.ready + self.reserved + self.delayed + self.buried


class Queue(Protocol):
    """One process's and thread's way to beanstalkd, with a connection per tube that is made when first needed.

    Nothing waits for messages. All methods raise QueueGoneError where the server does not answer: that connection
    is closed then, so that what was reserved through it is not ours any more, and the next call makes a new one.
    QueueError for what the server refuses.
    """

    def put(self, tube: str, body: bytes, *, priority: int = NORMAL, delay: int = 0, ttr: int = 120) -> int:
        """Add a message; its id. `delay` and `ttr` are in seconds."""

    def put_all(self, tube: str, bodies: Sequence[bytes], *, delay: int = 0, ttr: int = 120) -> list[int]:
        """Add messages in their order, in one go; their ids. Where it fails, some may have been added."""

    def reserve(self, tube: str) -> Delivery | None:
        """Take the first ready message, if there is one."""

    def reserve_all(self, tube: str, most: int) -> list[Delivery]:
        """Take so many ready messages at the most, the first ones, in one go. Where it fails, none is ours."""

    def take(self, tube: str, number: int) -> Delivery | None:
        """Reserve one message by its id, ready, delayed or buried; None where it is gone or somebody has it."""

    def delete(self, message: Delivery) -> bool:
        """Delete a message that is ours, or that nobody has reserved; False where it is gone or somebody's."""

    def delete_all(self, tube: str, messages: Sequence[Delivery]) -> None:
        """Delete messages of a tube as `delete` does, in one go. Where it fails, some may be there still."""

    def release(self, message: Delivery, *, priority: int = NORMAL, delay: int = 0) -> bool:
        """Give a reserved message back; False where it is not ours any more."""

    def bury(self, message: Delivery, *, priority: int = NORMAL) -> bool:
        """Put a reserved message aside; False where it is not ours any more."""

    def touch(self, message: Delivery) -> bool:
        """Keep a reserved message for another TTR; False where it is not ours any more."""

    def peek(self, tube: str, number: int) -> Delivery | None:
        """Look at a message by its id in any state, None where it is gone or in another tube."""

    def peek_ready(self, tube: str) -> Delivery | None:
        """Look at the ready message with the lowest priority number."""

    def stats(self, message: Delivery) -> DeliveryStats | None:
        """Facts of a message, None where it is gone."""

    def tube_stats(self, tube: str) -> TubeStats:
        """Counts of a tube; all 0 where there is no such tube."""

    def server(self) -> str:
        """Id of the running server: another one after a restart."""

    def session(self, tube: str) -> int:
        """How many connections this tube has had: what was reserved in an earlier one is not ours any more."""

    def close(self) -> None:
        """Close all connections: what is reserved is ready again."""
