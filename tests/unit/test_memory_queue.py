"""What other tests do to the queue in memory, beside the contract (tests/integration/test_queue_contract.py)."""

from __future__ import annotations

import pytest

from magma_remote.adapters.memory_clock import MemoryClock
from magma_remote.adapters.memory_queue import MemoryQueue, MemoryServer
from magma_remote.errors import QueueGoneError

JOBS = "jobs"


@pytest.fixture
def clock() -> MemoryClock:
    return MemoryClock()


@pytest.fixture
def server(clock: MemoryClock) -> MemoryServer:
    return MemoryServer(clock)


@pytest.fixture
def queue(server: MemoryServer) -> MemoryQueue:
    return MemoryQueue(server)


@pytest.fixture
def other(server: MemoryServer) -> MemoryQueue:
    return MemoryQueue(server)


def states(server: MemoryServer) -> list[str]:
    return [message.state for message in server.messages(JOBS)]


def test_the_clock_only_grows(clock: MemoryClock) -> None:
    start, now = clock.monotonic(), clock.now()
    clock.sleep(1.5)
    clock.advance(-3)
    assert (clock.monotonic() - start, clock.now() - now) == (1.5, 1.5)


@pytest.mark.parametrize("noticed", [True, False], ids=["noticed", "silent"])
def test_a_partition(queue: MemoryQueue, server: MemoryServer, clock: MemoryClock, *, noticed: bool) -> None:
    queue.put(JOBS, b"job", ttr=60)
    mine = queue.reserve(JOBS)
    assert mine is not None
    queue.partition(noticed=noticed)
    assert states(server) == ["ready" if noticed else "reserved"]
    with pytest.raises(QueueGoneError):
        queue.touch(mine)
    queue.close()  # nobody tells the server
    clock.advance(59)
    assert states(server) == ["ready" if noticed else "reserved"]
    clock.advance(1)
    assert states(server) == ["ready"]
    queue.heal()
    assert not queue.touch(mine)
    assert queue.session(JOBS) == 2


def test_a_silent_partition_that_nobody_met_breaks_nothing(queue: MemoryQueue) -> None:
    queue.put(JOBS, b"job")
    mine = queue.reserve(JOBS)
    assert mine is not None
    queue.partition(noticed=False)
    queue.heal()
    assert queue.touch(mine)


def test_nobody_hears_of_a_process_that_ends_in_a_silent_partition(queue: MemoryQueue, server: MemoryServer) -> None:
    queue.put(JOBS, b"job")
    queue.reserve(JOBS)
    queue.partition(noticed=False)
    queue.close()
    assert states(server) == ["reserved"]


def test_a_partition_breaks_only_ones_own(queue: MemoryQueue, other: MemoryQueue) -> None:
    queue.put(JOBS, b"one")
    queue.put(JOBS, b"two")
    theirs = other.reserve(JOBS)
    assert theirs is not None
    queue.partition()
    assert other.touch(theirs)


def test_a_lost_reply_leaves_the_deed(queue: MemoryQueue, server: MemoryServer) -> None:
    queue.lose_reply()
    with pytest.raises(QueueGoneError):
        queue.put(JOBS, b"job")
    assert states(server) == ["ready"]
    queue.lose_reply()
    with pytest.raises(QueueGoneError):
        queue.reserve(JOBS)
    assert states(server) == ["ready"]
    assert queue.reserve(JOBS)


def test_what_a_frozen_process_held_is_anothers(queue: MemoryQueue, other: MemoryQueue, clock: MemoryClock) -> None:
    queue.put(JOBS, b"job", ttr=60)
    mine = queue.reserve(JOBS)
    assert mine is not None
    clock.advance(60)
    assert other.reserve(JOBS)
    assert not queue.touch(mine)


@pytest.mark.parametrize("word", ["touch", "peek", "close"])
def test_a_forgetful_server_waits_for_a_word(
    queue: MemoryQueue, other: MemoryQueue, server: MemoryServer, clock: MemoryClock, word: str
) -> None:
    server.forgetful = True
    queue.put(JOBS, b"job", ttr=60)
    mine = queue.reserve(JOBS)
    seen = other.peek_ready(JOBS) or other.peek(JOBS, 1)
    assert mine is not None
    assert seen is not None
    clock.advance(90)
    found = other.stats(seen)
    assert found is not None
    assert (found.state, found.left) == ("reserved", -30)
    if word == "touch":
        assert queue.touch(mine)
    elif word == "peek":
        queue.peek_ready(JOBS)
    else:
        queue.close()
    assert states(server) == ["reserved" if word == "touch" else "ready"]
