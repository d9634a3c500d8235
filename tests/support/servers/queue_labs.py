"""A queue's server and processes around it, real or in memory: what tests of both need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from magma_remote.adapters.memory_clock import MemoryClock
from magma_remote.adapters.memory_queue import MemoryQueue, MemoryServer
from magma_remote.errors import QueueGoneError
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from magma_remote.ports import Delivery, Queue
    from tests.support.servers.beanstalkd import Beanstalkd

JOBS, OTHER = "jobs", "orders.w-1"


class QueueLab(Protocol):
    """A server and processes around it."""

    def queue(self) -> Queue:
        """That of one more process."""

    def until(self, condition: Callable[[], object]) -> None:
        """Let time pass until it is so."""

    def restart(self) -> None:
        """Start the server anew, with its binlog."""

    def wipe(self) -> None:
        """Start the server anew, with nothing."""

    def stop(self) -> None:
        """End the server."""

    def start(self) -> None:
        """Start it again."""

    def close(self) -> None:
        """End all processes."""


class RealLab:
    def __init__(self, server: Beanstalkd) -> None:
        self.restart, self.wipe, self.stop, self.start = server.restart, server.wipe, server.stop, server.start
        self._server = server
        self._queues: list[Queue] = []

    def queue(self) -> Queue:
        self._queues.append(self._server.queue())
        return self._queues[-1]

    def until(self, condition: Callable[[], object]) -> None:
        until(condition)

    def close(self) -> None:
        for queue in self._queues:
            queue.close()


class MemoryLab:
    def __init__(self) -> None:
        self._clock = MemoryClock()
        self._server = server = MemoryServer(self._clock)
        self.restart, self.wipe, self.stop, self.start = server.restart, server.wipe, server.stop, server.start

    def queue(self) -> Queue:
        return MemoryQueue(self._server)

    def until(self, condition: Callable[[], object]) -> None:
        for _ in range(100):
            if condition():
                return
            self._clock.advance(0.25)
        raise AssertionError("not within 25 s of the clock")

    def close(self) -> None:
        pass


def reserved(queue: Queue) -> Delivery:
    found = queue.reserve(JOBS)
    assert found is not None
    return found


def states(queue: Queue) -> tuple[int, int, int, int]:
    found = queue.tube_stats(JOBS)
    return found.ready, found.reserved, found.delayed, found.buried


def meet_the_break(queue: Queue) -> None:
    """Each connection tells once that it broke."""
    with pytest.raises(QueueGoneError):
        queue.peek_ready(JOBS)
