"""What holds for every queue, its counts, connections and a server that comes and goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from magma_remote.errors import QueueGoneError
from magma_remote.ports import TubeStats
from tests.support.servers.queue_labs import JOBS, OTHER, meet_the_break, reserved, states

if TYPE_CHECKING:
    from magma_remote.ports import Queue
    from tests.support.servers.queue_labs import QueueLab

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


def test_facts_of_a_message(queue: Queue, queue_lab: QueueLab) -> None:
    number = queue.put(JOBS, b"job", priority=3)
    seen = queue.peek(JOBS, number)
    assert seen is not None
    found = queue.stats(seen)
    assert found is not None
    assert (found.state, found.priority, found.age, found.reserves) == ("ready", 3, 0, 0)
    queue_lab.until(lambda: (queue.stats(seen) or found).age >= 1)
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


def test_a_process_that_ends_gives_back_what_it_had(queue: Queue, other: Queue, queue_lab: QueueLab) -> None:
    for body in (b"one", b"two"):
        queue.put(JOBS, body)
    mine = reserved(queue)
    queue.close()
    queue_lab.until(lambda: states(other) == (2, 0, 0, 0))
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


def test_a_server_that_is_gone_is_told_and_back_it_is_used(queue: Queue, queue_lab: QueueLab) -> None:
    queue.put(JOBS, b"job")
    queue_lab.stop()
    for _ in range(2):
        with pytest.raises(QueueGoneError):
            queue.reserve(JOBS)
    assert queue.session(JOBS) == 1
    queue_lab.start()
    assert reserved(queue).body == b"job"
    assert queue.session(JOBS) == 2


def test_a_restart_keeps_what_was_put_and_drops_reservations_and_counters(queue: Queue, queue_lab: QueueLab) -> None:
    for _ in range(3):
        queue.put(JOBS, b"job")
    queue.put(JOBS, b"later", delay=1000)
    mine, buried = reserved(queue), reserved(queue)
    assert queue.bury(buried)
    queue_lab.restart()
    meet_the_break(queue)
    assert not queue.touch(mine)
    assert states(queue) == (2, 0, 1, 1)
    back = queue.take(JOBS, mine.id)
    assert back is not None
    found = queue.stats(back)
    assert found is not None
    assert (found.state, found.reserves, found.timeouts, found.age) == ("reserved", 1, 0, 0)


def test_a_restart_shows_in_the_servers_id(queue: Queue, other: Queue, queue_lab: QueueLab) -> None:
    before = queue.server()
    assert queue.server() == other.server() == before
    queue_lab.restart()
    with pytest.raises(QueueGoneError):
        queue.server()
    after = queue.server()
    assert after != before
    assert queue.server() == after


@pytest.mark.parametrize("how", ["emptied", "wiped"])
def test_ids_begin_anew(queue: Queue, queue_lab: QueueLab, how: str) -> None:
    queue.put(JOBS, b"old")
    old = reserved(queue)
    if how == "emptied":
        assert queue.delete(old)
        queue_lab.restart()
        queue_lab.restart()  # the first one may still read of it in the binlog
    else:
        queue_lab.wipe()
    meet_the_break(queue)
    assert queue.put(JOBS, b"new") == old.id == 1
    assert not queue.delete(old)
    assert queue.stats(old) is None
    assert reserved(queue).body == b"new"
