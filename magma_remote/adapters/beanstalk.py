"""beanstalkd, through greenstalk, whose sockets get a time limit here."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn, TypeVar

import greenstalk

from magma_remote.errors import QueueError, QueueGoneError
from magma_remote.model.wire import LARGEST
from magma_remote.ports import NORMAL, Delivery, DeliveryStats, TubeStats

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenstalk import Address, Client, Job

T = TypeVar("T")

_CONTROL = greenstalk.DEFAULT_TUBE  # its connection asks of the server and of other tubes, and never reserves
_NOTHING = (greenstalk.NotFoundError, greenstalk.TimedOutError, greenstalk.DeadlineSoonError)
_NO_SENSE = (greenstalk.UnknownResponseError, AssertionError, ValueError)  # what greenstalk makes of a broken reply
_ENDED = (ConnectionError, FileNotFoundError)  # the server itself has gone: so have all other connections to it
_FULL = "it is out of memory, or its binlog's disk is full: make room where it runs"
_ADVICE: dict[type[greenstalk.BeanstalkdError], str] = {
    greenstalk.JobTooBigError: "it was started with a small -z: start it without",
    greenstalk.OutOfMemoryError: _FULL,
    greenstalk.BuriedError: _FULL,
    greenstalk.DrainingError: "it was told to drain (SIGUSR1) and takes nothing until it is started anew",
    greenstalk.InternalError: "it has failed within: see its log, and start it anew",
}
_NOT_UNDERSTOOD = "it does not understand this: beanstalkd 1.12 or newer is needed"


class BeanstalkQueue:
    """A `Queue` on a beanstalkd at a unix socket's path or at (host, port).

    No answer for `timeout` seconds is as good as a lost connection. Not thread-safe.
    """

    def __init__(self, address: Address, *, timeout: float = 10.0) -> None:
        self._address = address
        self._timeout = timeout
        self._clients: dict[str, Client[bytes]] = {}
        self._sessions: dict[str, int] = {}

    def put(self, tube: str, body: bytes, *, priority: int = NORMAL, delay: int = 0, ttr: int = 120) -> int:
        """See `Queue.put`."""
        if len(body) > LARGEST:
            raise QueueError(f"tube {tube}: a message of {len(body)} bytes is refused, the queue takes up to {LARGEST}")
        return self._call(tube, lambda client: client.put(body, priority, delay, ttr))

    def reserve(self, tube: str) -> Delivery | None:
        """See `Queue.reserve`."""
        return self._delivered(tube, lambda client: client.reserve(timeout=0))

    def take(self, tube: str, number: int) -> Delivery | None:
        """See `Queue.take`."""
        return self._delivered(tube, lambda client: client.reserve_job(_in_tube(client, tube, number)))

    def delete(self, message: Delivery) -> bool:
        """See `Queue.delete`."""
        return self._acted(message, lambda client, job: client.delete(job))

    def release(self, message: Delivery, *, priority: int = NORMAL, delay: int = 0) -> bool:
        """See `Queue.release`."""
        return self._acted(message, lambda client, job: client.release(job, priority, delay))

    def bury(self, message: Delivery, *, priority: int = NORMAL) -> bool:
        """See `Queue.bury`."""
        return self._acted(message, lambda client, job: client.bury(job, priority))

    def touch(self, message: Delivery) -> bool:
        """See `Queue.touch`."""
        return self._acted(message, lambda client, job: client.touch(job))

    def peek(self, tube: str, number: int) -> Delivery | None:
        """See `Queue.peek`."""
        return self._delivered(tube, lambda client: client.peek(_in_tube(client, tube, number)))

    def peek_ready(self, tube: str) -> Delivery | None:
        """See `Queue.peek_ready`."""
        return self._delivered(tube, lambda client: client.peek_ready())

    def stats(self, message: Delivery) -> DeliveryStats | None:
        """See `Queue.stats`."""
        if self._is_of_before(message):
            return None
        found = self._ask(message.tube, lambda client: client.stats_job(message.id))
        if not found:
            return None
        return DeliveryStats(
            state=found["state"],
            priority=found["pri"],
            age=found["age"],
            reserves=found["reserves"],
            releases=found["releases"],
            timeouts=found["timeouts"],
            left=found["time-left"],
        )

    def tube_stats(self, tube: str) -> TubeStats:
        """See `Queue.tube_stats`: asking makes neither the tube nor a connection for it."""
        found = self._ask(_CONTROL, lambda client: client.stats_tube(tube))
        if not found:
            return TubeStats()
        return TubeStats(
            ready=found["current-jobs-ready"],
            reserved=found["current-jobs-reserved"],
            delayed=found["current-jobs-delayed"],
            buried=found["current-jobs-buried"],
        )

    def server(self) -> str:
        """See `Queue.server`."""
        return str(self._call(_CONTROL, lambda client: client.stats()["id"]))

    def session(self, tube: str) -> int:
        """See `Queue.session`."""
        return self._sessions.get(tube, 0)

    def close(self) -> None:
        """See `Queue.close`."""
        for tube in list(self._clients):
            self._drop(tube)

    def _delivered(self, tube: str, call: Callable[[Client[bytes]], Job[bytes]]) -> Delivery | None:
        job = self._ask(tube, call)
        return Delivery(tube=tube, id=job.id, body=job.body, session=self.session(tube)) if job else None

    def _acted(self, message: Delivery, call: Callable[[Client[bytes], Job[bytes]], None]) -> bool:
        def act(client: Client[bytes]) -> bool:
            call(client, greenstalk.Job(message.id, message.body))
            return True

        return not self._is_of_before(message) and bool(self._ask(message.tube, act))

    def _is_of_before(self, message: Delivery) -> bool:
        """Whether it came through another connection than the one that there is now; makes one where there is none."""
        self._call(message.tube, lambda client: client)
        return message.session != self.session(message.tube)

    def _ask(self, tube: str, call: Callable[[Client[bytes]], T]) -> T | None:
        """As `_call`; None where there is no such message."""
        try:
            return self._call(tube, call)
        except _NOTHING:
            return None

    def _call(self, tube: str, call: Callable[[Client[bytes]], T]) -> T:
        """Ask through the tube's connection, which stays only where the server has answered."""
        answered = False
        try:
            client = self._clients.get(tube) or self._connect(tube)
            result = call(client)
            answered = True
        except _NOTHING:
            answered = True
            raise
        except greenstalk.BeanstalkdError as error:
            answered = type(error) in _ADVICE
            self._refuse(tube, error)
        except OSError as error:
            if isinstance(error, _ENDED):
                self.close()
            raise QueueGoneError(self._gone(error)) from error
        except _NO_SENSE as error:
            raise QueueGoneError(f"{self._name()}: a reply makes no sense; the connection is made anew") from error
        finally:
            # a signal's exception too: the next command must not take this one's reply for its own
            if not answered:
                self._drop(tube)
        return result

    def _connect(self, tube: str) -> Client[bytes]:
        client = self._clients[tube] = self._open()
        try:
            client.use(tube)
            if client.watch(tube) > 1:
                client.ignore(_CONTROL)
        except greenstalk.UnknownResponseError as error:
            raise QueueError(f"{self._name()}: what answers there is no beanstalkd: correct the address") from error
        self._sessions[tube] = self.session(tube) + 1
        return client

    def _open(self) -> Client[bytes]:
        """A client whose socket is connected, with the time limit on each of its operations."""
        if isinstance(self._address, str):
            opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            opened = socket.create_connection(self._address, self._timeout)
        try:
            opened.settimeout(self._timeout)
            if isinstance(self._address, str):
                opened.connect(self._address)
            else:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return greenstalk.Client(opened, encoding=None)
        except BaseException:
            opened.close()
            raise

    def _drop(self, tube: str) -> None:
        if client := self._clients.pop(tube, None):
            with suppress(OSError):
                client.close()

    def _refuse(self, tube: str, error: greenstalk.BeanstalkdError) -> NoReturn:
        advice = _ADVICE.get(type(error), _NOT_UNDERSTOOD)
        raise QueueError(f"{self._name()} refuses a command for the tube {tube}: {advice}") from error

    def _gone(self, error: OSError) -> str:
        why = f"no answer for {self._timeout:g} s" if isinstance(error, TimeoutError) else error.strerror or str(error)
        return (
            f"{self._name()} cannot be reached: {why}; check that beanstalkd runs, that this is its address, "
            "and that the tunnel or network to it is up"
        )

    def _name(self) -> str:
        if isinstance(self._address, str):
            return f"queue unix:{self._address}"
        host, port = self._address
        return f"queue [{host}]:{port}" if ":" in host else f"queue {host}:{port}"


def _in_tube(client: Client[bytes], tube: str, number: int) -> int:
    """The id, where it is of a message in this tube: ids are the server's, not a tube's. NotFoundError elsewhere."""
    if client.stats_job(number)["tube"] != tube:
        raise greenstalk.NotFoundError
    return number
