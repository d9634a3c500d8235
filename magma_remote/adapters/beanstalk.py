"""beanstalkd, through greenstalk, whose sockets get a time limit here."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import greenstalk

from magma_remote.adapters.beanstalk_errors import ADVICE, ENDED, NO_SENSE, NOTHING, gone, name, no_sense, refused
from magma_remote.adapters.piped_socket import connect
from magma_remote.errors import QueueError
from magma_remote.model.wire import LARGEST
from magma_remote.ports import NORMAL, Delivery, DeliveryStats, TubeStats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from greenstalk import Client, Job

    from magma_remote.adapters.piped_socket import Address, PipedSocket

T = TypeVar("T")

_CONTROL = greenstalk.DEFAULT_TUBE  # its connection asks of the server and of other tubes, and never reserves
_FEW = 4  # messages that are asked for at first


class BeanstalkQueue:
    """A `Queue` on a beanstalkd at a unix socket's path or at (host, port).

    No answer for `timeout` seconds is as good as a lost connection. Not thread-safe.
    """

    def __init__(self, address: Address, *, timeout: float = 10.0) -> None:
        self._address = address
        self._timeout = timeout
        self._clients: dict[str, Client[bytes]] = {}
        self._sockets: dict[str, PipedSocket] = {}
        self._sessions: dict[str, int] = {}

    def put(self, tube: str, body: bytes, *, priority: int = NORMAL, delay: int = 0, ttr: int = 120) -> int:
        """See `Queue.put`."""
        _check(tube, body)
        return self._call(tube, lambda client: client.put(body, priority, delay, ttr))

    def put_all(self, tube: str, bodies: Sequence[bytes], *, delay: int = 0, ttr: int = 120) -> list[int]:
        """See `Queue.put_all`."""
        _check(tube, *bodies)
        found = self._together(tube, lambda client: [partial(client.put, body, NORMAL, delay, ttr) for body in bodies])
        return [number for number in found if number is not None]

    def reserve(self, tube: str) -> Delivery | None:
        """See `Queue.reserve`."""
        return self._delivered(tube, lambda client: client.reserve(timeout=0))

    def reserve_all(self, tube: str, most: int) -> list[Delivery]:
        """See `Queue.reserve_all`: asks for more the more there are, as most tubes are empty most of the time."""
        found: list[Delivery] = []
        asked = 0
        while len(found) == asked < most:
            more = min(max(_FEW, 3 * asked), most - asked)
            jobs = self._together(tube, partial(_reserves, more))
            found += [self._delivery(tube, job) for job in jobs if job]
            asked += more
        return found

    def take(self, tube: str, number: int) -> Delivery | None:
        """See `Queue.take`."""
        return self._delivered(tube, lambda client: client.reserve_job(_in_tube(client, tube, number)))

    def delete(self, message: Delivery) -> bool:
        """See `Queue.delete`."""
        return self._acted(message, lambda client, job: client.delete(job))

    def delete_all(self, tube: str, messages: Sequence[Delivery]) -> None:
        """See `Queue.delete_all`."""
        session = self._call(tube, lambda _: self.session(tube))
        numbers = [message.id for message in messages if message.session == session]
        self._together(tube, lambda client: [partial(client.delete, number) for number in numbers])

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
        return self._delivery(tube, job) if job else None

    def _delivery(self, tube: str, job: Job[bytes]) -> Delivery:
        return Delivery(tube=tube, id=job.id, body=job.body, session=self.session(tube))

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
        except NOTHING:
            return None

    def _together(self, tube: str, calls: Callable[[Client[bytes]], Sequence[Callable[[], T]]]) -> list[T | None]:
        """As `_call`, for calls of one command each that are sent at once; None for each that finds nothing."""

        def call(client: Client[bytes]) -> list[T | None]:
            answers: list[T | None] = []
            refusals: list[greenstalk.BeanstalkdError] = []
            for read in self._sockets[tube].together(calls(client)):
                answers.append(None)
                try:
                    with suppress(*NOTHING):
                        answers[-1] = read()
                except tuple(ADVICE) as error:  # told when all replies are read: the connection can be kept
                    refusals.append(error)
            if refusals:
                raise refusals[0]
            return answers

        return self._call(tube, call)

    def _call(self, tube: str, call: Callable[[Client[bytes]], T]) -> T:
        """Ask through the tube's connection, which stays only where the server has answered."""
        answered = False
        try:
            client = self._clients.get(tube) or self._connect(tube)
            result = call(client)
            answered = True
        except NOTHING:
            answered = True
            raise
        except greenstalk.BeanstalkdError as error:
            answered = type(error) in ADVICE
            raise refused(self._address, tube, error) from error
        except OSError as error:
            if isinstance(error, ENDED):
                self.close()
            raise gone(self._address, error, self._timeout) from error
        except NO_SENSE as error:
            raise no_sense(self._address) from error
        finally:
            # a signal's exception too: the next command must not take this one's reply for its own
            if not answered:
                self._drop(tube)
        return result

    def _connect(self, tube: str) -> Client[bytes]:
        opened = self._sockets[tube] = connect(self._address, self._timeout)
        client = self._clients[tube] = greenstalk.Client(opened, encoding=None)
        try:
            client.use(tube)
            if client.watch(tube) > 1:
                client.ignore(_CONTROL)
        except greenstalk.UnknownResponseError as error:
            raise QueueError(
                f"{name(self._address)}: what answers there is no beanstalkd: correct the address"
            ) from error
        self._sessions[tube] = self.session(tube) + 1
        return client

    def _drop(self, tube: str) -> None:
        for opened in (self._clients.pop(tube, None), self._sockets.pop(tube, None)):
            with suppress(OSError):
                if opened:
                    opened.close()


def _check(tube: str, *bodies: bytes) -> None:
    if (size := max(map(len, bodies), default=0)) > LARGEST:
        raise QueueError(f"tube {tube}: a message of {size} bytes is refused, the queue takes up to {LARGEST}")


def _in_tube(client: Client[bytes], tube: str, number: int) -> int:
    """The id, where it is of a message in this tube: ids are the server's, not a tube's. NotFoundError elsewhere."""
    if client.stats_job(number)["tube"] != tube:
        raise greenstalk.NotFoundError
    return number


def _reserves(count: int, client: Client[bytes]) -> list[Callable[[], Job[bytes]]]:
    return [partial(client.reserve, timeout=0)] * count
