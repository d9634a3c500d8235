"""What holds for every queue: for beanstalkd, and for the one in memory that stands for it in other tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from magma_remote.adapters.memory_clock import MemoryClock
from magma_remote.adapters.memory_queue import MemoryQueue, MemoryServer
from magma_remote.errors import QueueError, QueueGoneError
from magma_remote.model.wire import LARGEST
from magma_remote.ports import NORMAL, Delivery, TubeStats
from tests.queues import Beanstalkd, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from magma_remote.ports import Queue

JOBS, OTHER = "jobs", "orders.w-1"


class Lab(Protocol):
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


@pytest.fixture(params=["beanstalkd", "memory"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    real = request.param == "beanstalkd"
    lab: Lab = RealLab(request.getfixturevalue("beanstalkd")) if real else MemoryLab()
    yield lab
    lab.close()


@pytest.fixture
def queue(lab: Lab) -> Queue:
    return lab.queue()


@pytest.fixture
def other(lab: Lab) -> Queue:
    """Another process's."""
    return lab.queue()


def reserved(queue: Queue, tube: str = JOBS) -> Delivery:
    found = queue.reserve(tube)
    assert found is not None
    return found


def states(queue: Queue, tube: str = JOBS) -> tuple[int, int, int, int]:
    found = queue.tube_stats(tube)
    return found.ready, found.reserved, found.delayed, found.buried


def meet_the_break(queue: Queue, tube: str = JOBS) -> None:
    """Each connection tells once that it broke."""
    with pytest.raises(QueueGoneError):
        queue.peek_ready(tube)


# what comes out


def test_a_body_comes_out_as_it_went_in(queue: Queue) -> None:
    body = bytes(range(256)) + b"\r\nDELETED\r\n"
    number = queue.put(JOBS, body)
    expected = Delivery(tube=JOBS, id=number, body=body, session=1)
    assert queue.peek(JOBS, number) == expected
    assert queue.peek_ready(JOBS) == expected
    assert queue.reserve(JOBS) == expected


def test_an_empty_tube_gives_nothing(queue: Queue) -> None:
    assert queue.reserve(JOBS) is None
    assert queue.peek_ready(JOBS) is None
    assert queue.peek(JOBS, 1) is None
    assert queue.take(JOBS, 1) is None


def test_the_lowest_number_comes_first_and_then_the_oldest(queue: Queue) -> None:
    for body, priority in ((b"late", NORMAL + 1), (b"first", NORMAL), (b"second", NORMAL), (b"urgent", 0)):
        queue.put(JOBS, body, priority=priority)
    assert [reserved(queue).body for _ in range(4)] == [b"urgent", b"first", b"second", b"late"]


def test_a_newer_broadcast_with_a_lower_number_wins(queue: Queue) -> None:
    queue.put(JOBS, b"old", priority=10)
    queue.put(JOBS, b"new", priority=9)
    seen = queue.peek_ready(JOBS)
    assert seen is not None
    assert seen.body == b"new"
    assert states(queue) == (2, 0, 0, 0)


def test_tubes_are_apart(queue: Queue) -> None:
    number = queue.put(JOBS, b"here")
    assert queue.reserve(OTHER) is None
    assert queue.peek_ready(OTHER) is None
    assert queue.peek(OTHER, number) is None
    assert queue.take(OTHER, number) is None
    assert states(queue) == (1, 0, 0, 0)


@pytest.mark.parametrize("size", [0, LARGEST], ids=["empty", "largest"])
def test_bodies_up_to_the_limit_outlive_a_restart(queue: Queue, lab: Lab, size: int) -> None:
    queue.put(JOBS, b"x" * size)
    queue.put(JOBS, b"after")
    lab.restart()
    meet_the_break(queue)
    assert [len(reserved(queue).body) for _ in range(2)] == [size, 5]


def test_a_body_over_the_limit_is_refused(queue: Queue) -> None:
    with pytest.raises(QueueError, match=f"tube jobs: a message of {LARGEST + 1} bytes is refused"):
        queue.put(JOBS, b"x" * (LARGEST + 1))
    assert states(queue) == (0, 0, 0, 0)


# reservations


def test_what_is_reserved_is_nobody_elses(queue: Queue, other: Queue) -> None:
    number = queue.put(JOBS, b"job")
    mine = reserved(queue)
    assert other.reserve(JOBS) is None
    assert other.take(JOBS, number) is None
    theirs = other.peek(JOBS, number)
    assert theirs is not None
    for act in (other.delete, other.touch, other.release, other.bury):
        assert not act(theirs)
    assert queue.delete(mine)


def test_what_is_ours_is_not_taken_again(queue: Queue) -> None:
    number = queue.put(JOBS, b"job")
    mine = reserved(queue)
    assert queue.take(JOBS, number) is None
    assert queue.touch(mine)


def test_nothing_is_done_to_what_nobody_reserved_but_delete(queue: Queue, other: Queue) -> None:
    number = queue.put(JOBS, b"job")
    seen = other.peek(JOBS, number)
    assert seen is not None
    for act in (other.touch, other.release, other.bury):
        assert not act(seen)
    assert other.delete(seen)
    assert not other.delete(seen)
    assert queue.peek(JOBS, number) is None


@pytest.mark.parametrize("state", ["ready", "delayed", "buried"])
def test_a_message_is_taken_and_deleted_in_any_free_state(queue: Queue, other: Queue, state: str) -> None:
    number = queue.put(JOBS, b"job", delay=1000 if state == "delayed" else 0)
    if state == "buried":
        assert queue.bury(reserved(queue))
    taken = other.take(JOBS, number)
    assert taken is not None
    assert other.release(taken, delay=1000 if state == "delayed" else 0)
    assert queue.delete(taken)
    assert states(queue) == (0, 0, 0, 0)


def test_what_is_given_back_keeps_its_place_and_the_priority_given(queue: Queue) -> None:
    for body in (b"one", b"two"):
        queue.put(JOBS, body)
    assert queue.release(reserved(queue))
    one = reserved(queue)
    assert one.body == b"one"
    assert queue.release(one, priority=NORMAL + 1)
    assert reserved(queue).body == b"two"
    found = queue.stats(one)
    assert found is not None
    assert (found.state, found.priority, found.reserves, found.releases) == ("ready", NORMAL + 1, 2, 2)


def test_a_buried_message_keeps_the_priority_given(queue: Queue) -> None:
    queue.put(JOBS, b"job")
    mine = reserved(queue)
    assert queue.bury(mine, priority=7)
    found = queue.stats(mine)
    assert found is not None
    assert (found.state, found.priority) == ("buried", 7)
    assert queue.reserve(JOBS) is None


@pytest.mark.parametrize("how", ["put", "release"])
def test_a_delay_ends(queue: Queue, lab: Lab, how: str) -> None:
    queue.put(JOBS, b"job", delay=1 if how == "put" else 0)
    if how == "release":
        assert queue.release(reserved(queue), delay=1)
    assert states(queue) == (0, 0, 1, 0)
    assert queue.reserve(JOBS) is None
    lab.until(lambda: states(queue) == (1, 0, 0, 0))
    assert reserved(queue).body == b"job"


def test_what_nobody_touches_is_anothers_after_its_ttr(queue: Queue, other: Queue, lab: Lab) -> None:
    number = queue.put(JOBS, b"job", ttr=1)
    mine = reserved(queue)
    lab.until(lambda: queue.peek_ready(JOBS))  # its own words: beanstalkd may forget a silent process's TTR
    theirs = other.take(JOBS, number)
    assert theirs is not None
    for act in (queue.touch, queue.release, queue.bury, queue.delete):
        assert not act(mine)
    found = other.stats(theirs)
    assert found is not None
    assert (found.reserves, found.timeouts, found.releases) == (2, 1, 0)


def test_what_a_silent_process_holds_is_ready_or_overdue(queue: Queue, other: Queue, lab: Lab) -> None:
    queue.put(JOBS, b"job", ttr=1)
    mine = reserved(queue)
    seen = other.peek(JOBS, mine.id)
    assert seen is not None

    def over() -> bool:
        found = other.stats(seen)
        assert found is not None
        return (found.state, found.left) == ("ready", 0) or found.left < 0

    assert not over()
    lab.until(over)


def test_a_touch_keeps_it(queue: Queue, lab: Lab) -> None:
    for _ in range(2):
        queue.put(JOBS, b"job", ttr=2)
    kept, left = reserved(queue), reserved(queue)
    lab.until(lambda: queue.touch(kept) and queue.peek_ready(JOBS))
    assert not queue.touch(left)
    assert queue.delete(kept)


def test_close_to_its_ttr_a_reserve_finds_nothing_or_another(queue: Queue, lab: Lab) -> None:
    """beanstalkd answers DEADLINE_SOON then."""
    queue.put(JOBS, b"job", ttr=1)
    mine = reserved(queue)
    assert queue.reserve(JOBS) is None
    queue.put(JOBS, b"next")
    assert reserved(queue).body == b"next"
    assert queue.delete(mine)
    lab.until(lambda: states(queue) == (0, 1, 0, 0))


# counts


def test_counts_of_a_tube(queue: Queue) -> None:
    for _ in range(4):
        queue.put(JOBS, b"job")
    queue.put(JOBS, b"job", delay=1000)
    assert queue.bury(reserved(queue))
    reserved(queue)
    assert queue.tube_stats(JOBS) == TubeStats(ready=2, reserved=1, delayed=1, buried=1)
    assert queue.tube_stats("nobody") == TubeStats()
    assert queue.session("nobody") == 0


def test_facts_of_a_message(queue: Queue, lab: Lab) -> None:
    number = queue.put(JOBS, b"job", priority=3)
    seen = queue.peek(JOBS, number)
    assert seen is not None
    found = queue.stats(seen)
    assert found is not None
    assert (found.state, found.priority, found.age, found.reserves) == ("ready", 3, 0, 0)
    lab.until(lambda: (queue.stats(seen) or found).age >= 1)
    assert queue.delete(seen)
    assert queue.stats(seen) is None


# connections


def test_a_connection_is_made_when_it_is_needed(queue: Queue) -> None:
    assert queue.session(JOBS) == 0
    queue.put(OTHER, b"x")
    assert (queue.session(JOBS), queue.session(OTHER)) == (0, 1)
    queue.reserve(JOBS)
    queue.reserve(JOBS)
    assert queue.session(JOBS) == 1


def test_a_process_that_ends_gives_back_what_it_had(queue: Queue, other: Queue, lab: Lab) -> None:
    for body in (b"one", b"two"):
        queue.put(JOBS, body)
    mine = reserved(queue)
    queue.close()
    lab.until(lambda: states(other) == (2, 0, 0, 0))
    assert reserved(other).body == b"one"
    assert not queue.touch(mine)
    assert queue.session(JOBS) == 2


def test_a_delivery_of_an_earlier_connection_is_nothing(queue: Queue) -> None:
    queue.put(JOBS, b"job")
    seen = queue.peek_ready(JOBS)
    assert seen is not None
    queue.close()
    for act in (queue.delete, queue.touch, queue.release, queue.bury):
        assert not act(seen)
    assert queue.stats(seen) is None
    again = queue.peek_ready(JOBS)
    assert again is not None
    assert again.session == 2
    assert queue.delete(again)


# the server comes and goes


def test_a_server_that_is_gone_is_told_and_back_it_is_used(queue: Queue, lab: Lab) -> None:
    queue.put(JOBS, b"job")
    lab.stop()
    for _ in range(2):
        with pytest.raises(QueueGoneError):
            queue.reserve(JOBS)
    assert queue.session(JOBS) == 1
    lab.start()
    assert reserved(queue).body == b"job"
    assert queue.session(JOBS) == 2


def test_a_restart_keeps_what_was_put_and_drops_reservations_and_counters(queue: Queue, lab: Lab) -> None:
    for _ in range(3):
        queue.put(JOBS, b"job")
    queue.put(JOBS, b"later", delay=1000)
    mine, buried = reserved(queue), reserved(queue)
    assert queue.bury(buried)
    lab.restart()
    meet_the_break(queue)
    assert not queue.touch(mine)
    assert states(queue) == (2, 0, 1, 1)
    back = queue.take(JOBS, mine.id)
    assert back is not None
    found = queue.stats(back)
    assert found is not None
    assert (found.state, found.reserves, found.timeouts, found.age) == ("reserved", 1, 0, 0)


def test_a_restart_shows_in_the_servers_id(queue: Queue, other: Queue, lab: Lab) -> None:
    before = queue.server()
    assert queue.server() == other.server() == before
    lab.restart()
    with pytest.raises(QueueGoneError):
        queue.server()
    after = queue.server()
    assert after != before
    assert queue.server() == after


@pytest.mark.parametrize("how", ["emptied", "wiped"])
def test_ids_begin_anew(queue: Queue, lab: Lab, how: str) -> None:
    queue.put(JOBS, b"old")
    old = reserved(queue)
    if how == "emptied":
        assert queue.delete(old)
        lab.restart()
        lab.restart()  # the first one may still read of it in the binlog
    else:
        lab.wipe()
    meet_the_break(queue)
    assert queue.put(JOBS, b"new") == old.id == 1
    assert not queue.delete(old)
    assert queue.stats(old) is None
    assert reserved(queue).body == b"new"
