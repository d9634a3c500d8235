"""What holds for every queue: for beanstalkd, and for the one in memory that stands for it in other tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from magma_remote.errors import QueueError, QueueGoneError
from magma_remote.model.wire import LARGEST
from magma_remote.ports import NORMAL, Delivery
from tests.support.servers.queue_labs import JOBS, OTHER, meet_the_break, reserved, states

if TYPE_CHECKING:
    from magma_remote.ports import Queue
    from tests.support.servers.queue_labs import QueueLab

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
def test_bodies_up_to_the_limit_outlive_a_restart(queue: Queue, queue_lab: QueueLab, size: int) -> None:
    queue.put(JOBS, b"x" * size)
    queue.put(JOBS, b"after")
    queue_lab.restart()
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
def test_a_delay_ends(queue: Queue, queue_lab: QueueLab, how: str) -> None:
    queue.put(JOBS, b"job", delay=1 if how == "put" else 0)
    if how == "release":
        assert queue.release(reserved(queue), delay=1)
    assert states(queue) == (0, 0, 1, 0)
    assert queue.reserve(JOBS) is None
    queue_lab.until(lambda: states(queue) == (1, 0, 0, 0))
    assert reserved(queue).body == b"job"


def test_what_nobody_touches_is_anothers_after_its_ttr(queue: Queue, other: Queue, queue_lab: QueueLab) -> None:
    number = queue.put(JOBS, b"job", ttr=1)
    mine = reserved(queue)
    queue_lab.until(lambda: queue.peek_ready(JOBS))  # its own words: beanstalkd may forget a silent process's TTR
    theirs = other.take(JOBS, number)
    assert theirs is not None
    for act in (queue.touch, queue.release, queue.bury, queue.delete):
        assert not act(mine)
    found = other.stats(theirs)
    assert found is not None
    assert (found.reserves, found.timeouts, found.releases) == (2, 1, 0)


def test_what_a_silent_process_holds_is_ready_or_overdue(queue: Queue, other: Queue, queue_lab: QueueLab) -> None:
    queue.put(JOBS, b"job", ttr=1)
    mine = reserved(queue)
    seen = other.peek(JOBS, mine.id)
    assert seen is not None

    def over() -> bool:
        found = other.stats(seen)
        assert found is not None
        return (found.state, found.left) == ("ready", 0) or found.left < 0

    assert not over()
    queue_lab.until(over)


def test_a_touch_keeps_it(queue: Queue, queue_lab: QueueLab) -> None:
    for _ in range(2):
        queue.put(JOBS, b"job", ttr=2)
    kept, left = reserved(queue), reserved(queue)
    queue_lab.until(lambda: queue.touch(kept) and queue.peek_ready(JOBS))
    assert not queue.touch(left)
    assert queue.delete(kept)


def test_close_to_its_ttr_a_reserve_finds_nothing_or_another(queue: Queue, queue_lab: QueueLab) -> None:
    """beanstalkd answers DEADLINE_SOON then."""
    queue.put(JOBS, b"job", ttr=1)
    mine = reserved(queue)
    assert queue.reserve(JOBS) is None
    queue.put(JOBS, b"next")
    assert reserved(queue).body == b"next"
    assert queue.delete(mine)
    queue_lab.until(lambda: states(queue) == (0, 1, 0, 0))


# many at once


@pytest.mark.parametrize("count", [0, 1, 7, 700], ids="{} messages".format)
def test_many_at_once_are_as_one_after_another(queue: Queue, other: Queue, count: int) -> None:
    numbers = queue.put_all(JOBS, [b"%d" % n for n in range(count)], ttr=60)
    assert len(set(numbers)) == count
    found = queue.reserve_all(JOBS, 500)
    assert [message.body for message in found] == [b"%d" % n for n in range(min(count, 500))]
    assert [message.id for message in found] == numbers[:500]
    assert other.reserve_all(JOBS, 1000) == [] if count <= 500 else len(other.reserve_all(JOBS, 1000)) == count - 500
    queue.delete_all(JOBS, found)
    assert states(queue) == (0, max(0, count - 500), 0, 0)


def test_of_many_those_that_are_anothers_or_gone_stay_out(queue: Queue, other: Queue) -> None:
    first, second, third = (queue.peek(JOBS, number) for number in queue.put_all(JOBS, [b"1", b"2", b"3"]))
    assert first
    assert second
    assert third
    theirs = other.take(JOBS, second.id)
    assert theirs
    assert queue.delete(first)
    queue.delete_all(JOBS, [first, second, third])
    assert states(queue) == (0, 1, 0, 0)
    queue.close()
    queue.delete_all(JOBS, [third])
    assert other.delete(theirs)


def test_many_of_which_one_is_too_large_are_refused(queue: Queue) -> None:
    with pytest.raises(QueueError, match="refused"):
        queue.put_all(JOBS, [b"x" * (LARGEST + 1), b"1"])
    assert states(queue) == (0, 0, 0, 0)


def test_many_large_ones_find_their_way(queue: Queue) -> None:
    queue.put_all(JOBS, [b"x" * LARGEST] * 100)
    assert [len(message.body) for message in queue.reserve_all(JOBS, 500)] == [LARGEST] * 100


def test_many_at_once_meet_a_break(queue: Queue, queue_lab: QueueLab) -> None:
    queue.put_all(JOBS, [b"1", b"2"])
    found = queue.reserve_all(JOBS, 10)
    queue_lab.restart()
    with pytest.raises(QueueGoneError):
        queue.delete_all(JOBS, found)
    assert states(queue) == (2, 0, 0, 0)
    queue.delete_all(JOBS, found)  # through a connection that is not theirs
    assert states(queue) == (2, 0, 0, 0)
    assert len(queue.reserve_all(JOBS, 10)) == 2
