"""What only a real server does: it freezes, dies, is somebody else, refuses."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.beanstalk import BeanstalkQueue
from magma_remote.errors import QueueError, QueueGoneError
from magma_remote.model.wire import LARGEST
from tests.support.servers.beanstalkd import Beanstalkd
from tests.support.servers.ports import free_port
from tests.support.waiting import DEADLINE, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from magma_remote.ports import DeliveryStats

JOBS = "jobs"
HOLDER = """
import sys, time
from magma_remote.adapters.beanstalk import BeanstalkQueue
queue = BeanstalkQueue(sys.argv[1])
print(queue.reserve("jobs").id, flush=True)
time.sleep(600)
"""


@pytest.fixture
def queue(beanstalkd: Beanstalkd) -> Iterator[BeanstalkQueue]:
    with closing(beanstalkd.queue()) as queue:
        yield queue


@contextmanager
def answering(path: Path, *replies: bytes) -> Iterator[BeanstalkQueue]:
    """A queue on a server that gives one of these to each line that it hears, and then hangs up."""

    def serve() -> None:
        connection = listener.accept()[0]
        with connection, connection.makefile("rb") as lines:
            for reply in replies:
                lines.readline()
                connection.sendall(reply)

    with socket.socket(socket.AF_UNIX) as listener, closing(BeanstalkQueue(str(path), timeout=5)) as queue:
        listener.bind(str(path))
        listener.listen()
        server = threading.Thread(target=serve)
        server.start()
        yield queue
        server.join(DEADLINE)
        assert not server.is_alive()


# it does not answer


def test_a_frozen_server_is_told_in_time_and_thawed_it_is_used(beanstalkd: Beanstalkd) -> None:
    with closing(beanstalkd.queue(timeout=0.3)) as queue:
        queue.put(JOBS, b"job")
        beanstalkd.freeze()
        for _ in range(2):  # through a connection that there was, and through a new one
            start = time.monotonic()
            with pytest.raises(QueueGoneError, match=r"no answer for 0\.3 s; check that beanstalkd runs"):
                queue.reserve(JOBS)
            assert time.monotonic() - start < 5
        assert queue.session(JOBS) == 1
        beanstalkd.thaw()
        # what was asked of the frozen one is still done, and undone since nobody waits for it
        until(lambda: queue.reserve(JOBS))
        assert queue.session(JOBS) == 2


@pytest.mark.parametrize("port", [False, True], ids=["unix", "tcp"])
def test_where_nobody_listens_the_message_says_what_to_check(tmp_path: Path, *, port: bool) -> None:
    address = ("127.0.0.1", free_port()) if port else str(tmp_path / "none.sock")
    shown = f"127.0.0.1:{address[1]}" if port else f"unix:{address}"
    with pytest.raises(QueueGoneError) as caught:
        BeanstalkQueue(address).reserve(JOBS)
    assert str(caught.value) == (
        f"queue {shown} cannot be reached: {'Connection refused' if port else 'No such file or directory'}; "
        "check that beanstalkd runs, that this is its address, and that the tunnel or network to it is up"
    )


def test_an_ipv6_address_is_shown_with_its_port_apart() -> None:
    with pytest.raises(QueueGoneError, match=r"^queue \[::1\]:\d+ cannot be reached: "):
        BeanstalkQueue(("::1", free_port())).server()


def test_a_server_is_reached_by_tcp(tmp_path: Path, beanstalkd: Beanstalkd) -> None:
    with (
        Beanstalkd(tmp_path / "tcp", port=free_port(), binlog=False) as server,
        closing(server.queue()) as queue,
        closing(beanstalkd.queue()) as other,
    ):
        number = queue.put(JOBS, b"x" * LARGEST)
        found = queue.take(JOBS, number)
        assert found is not None
        assert len(found.body) == LARGEST
        assert queue.server() != other.server()


def test_an_exception_between_command_and_reply_leaves_no_reply_to_the_next(beanstalkd: Beanstalkd) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with closing(beanstalkd.queue()) as queue:
        queue.put(JOBS, b"job")
        beanstalkd.freeze()
        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(KeyboardInterrupt):
                queue.peek_ready(JOBS)
        finally:
            signal.signal(signal.SIGALRM, before)
        beanstalkd.thaw()
        assert queue.reserve("empty") is None
        assert queue.put(JOBS, b"next") == 2
        assert queue.session(JOBS) == 2


# it dies


def test_what_was_put_outlives_a_kill(beanstalkd: Beanstalkd, queue: BeanstalkQueue) -> None:
    for number in range(100):
        queue.put(JOBS, b"%d" % number)
    mine = queue.reserve(JOBS)
    assert mine is not None
    beanstalkd.kill()
    with pytest.raises(QueueGoneError):
        queue.touch(mine)
    beanstalkd.start()
    assert queue.tube_stats(JOBS).ready == 100
    assert not queue.touch(mine)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["term", "kill"])
def test_a_process_that_ends_gives_back_its_job(
    beanstalkd: Beanstalkd, queue: BeanstalkQueue, end: signal.Signals
) -> None:
    number = queue.put(JOBS, b"job", ttr=1000)
    argv = [sys.executable, "-c", HOLDER, str(beanstalkd.address)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        try:
            assert int(holder.stdout.readline()) == number
            assert queue.take(JOBS, number) is None
        finally:
            holder.send_signal(end)
    until(lambda: queue.take(JOBS, number))


def test_a_forgotten_reservation_ends_with_the_next_word_of_its_holder(beanstalkd: Beanstalkd) -> None:
    """Some 6 of 10: see `DeliveryStats.left`."""
    holders = [beanstalkd.queue() for _ in range(20)]
    with closing(beanstalkd.queue()) as asking:
        for holder in holders:
            asking.put(JOBS, b"job", ttr=1)
            assert holder.reserve(JOBS)
        until(lambda: all(found.left < 0 or found.state == "ready" for found in facts(asking, len(holders))))
        for holder in holders:
            holder.peek_ready(JOBS)
        until(lambda: asking.tube_stats(JOBS).ready == len(holders))
    for holder in holders:
        holder.close()


def facts(queue: BeanstalkQueue, count: int) -> Iterator[DeliveryStats]:
    for number in range(1, count + 1):
        seen = queue.peek(JOBS, number)
        found = queue.stats(seen) if seen else None
        assert found is not None
        yield found


# it is no beanstalkd, or refuses


HELLO = (b"USING jobs\r\n", b"WATCHING 2\r\n", b"WATCHING 1\r\n")


@pytest.mark.parametrize(
    "reply",
    [b"HTTP/1.1 400 Bad Request\r\n", b"-ERR unknown command\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"],
    ids=["http", "redis", "ssh"],
)
def test_another_server_is_no_beanstalkd(tmp_path: Path, reply: bytes) -> None:
    told = r"other\.sock: what answers there is no beanstalkd: correct the address"
    with answering(tmp_path / "other.sock", reply) as queue, pytest.raises(QueueError, match=told):
        queue.reserve(JOBS)


@pytest.mark.parametrize(
    ("replies", "told"),
    [
        pytest.param([*HELLO, b""], "cannot be reached: Unexpected EOF", id="hangs-up"),
        pytest.param([*HELLO, b"RESERVED 1 10\r\nshort"], "a reply makes no sense", id="hangs-up-in-a-body"),
        pytest.param([*HELLO, b"TIMED_O"], "a reply makes no sense", id="hangs-up-in-a-line"),
        pytest.param([*HELLO, b"\r\n"], "a reply makes no sense", id="empty-line"),
        pytest.param([*HELLO, b"HELLO\r\n"], "a reply makes no sense", id="unknown-word"),
    ],
)
def test_a_broken_reply_is_a_lost_connection(tmp_path: Path, replies: list[bytes], told: str) -> None:
    with answering(tmp_path / "other.sock", *replies) as queue, pytest.raises(QueueGoneError, match=told):
        queue.reserve(JOBS)


def test_an_old_server_is_told(tmp_path: Path) -> None:
    """reserve-job came with 1.12."""
    fact = b"---\ntube: jobs\n"
    replies = [*HELLO, b"OK %d\r\n%b\r\n" % (len(fact), fact), b"UNKNOWN_COMMAND\r\n"]
    told = r"beanstalkd 1\.12 or newer is needed"
    with answering(tmp_path / "old.sock", *replies) as queue, pytest.raises(QueueError, match=told):
        queue.take(JOBS, 1)


@pytest.mark.usefixtures("beanstalkd")
def test_a_server_with_a_small_limit_says_so_and_keeps_the_connection(tmp_path: Path) -> None:
    with Beanstalkd(tmp_path / "small", options=("-z", "10")) as server, closing(server.queue()) as queue:
        with pytest.raises(QueueError, match="refuses a command for the tube jobs: it was started with a small -z"):
            queue.put(JOBS, b"x" * 11)
        queue.put(JOBS, b"x" * 10)
        assert queue.session(JOBS) == 1


def test_a_draining_server_says_so(beanstalkd: Beanstalkd, queue: BeanstalkQueue) -> None:
    queue.put(JOBS, b"before")
    beanstalkd.send(signal.SIGUSR1)

    def drains() -> bool:
        try:
            queue.put(JOBS, b"after")
        except QueueError as error:
            return "takes nothing until it is started anew" in str(error)
        return False

    until(drains)
    assert queue.reserve(JOBS)
