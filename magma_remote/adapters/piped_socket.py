"""A socket on which a client that waits for each reply sends many commands at once all the same."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Address = str | tuple[str, int]

T = TypeVar("T")

_PART = 32_000
"""Bytes that are sent at once: a server that cannot write its replies stops reading, and neither side would go on."""


class _NotedError(Exception):
    """A command was noted instead of sent: there is no reply yet."""


class PipedSocket(socket.socket):
    """As any socket, and `together`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._noted: bytearray | None = None
        self._sent = 0

    def together(self, calls: Iterable[Callable[[], T]]) -> Iterator[Callable[[], T]]:
        """The calls, of one command each, to be made in their order; what they send was sent then already.

        Each is made twice: to learn what it sends, which ends it there, and to read its reply. Whoever does not make
        them all leaves replies unread, and must close the socket.
        """
        ahead: list[Callable[[], T]] = []
        commands = b""
        for call in calls:
            command = self._command_of(call)
            if len(commands) + len(command) > _PART:
                yield from self._send_ahead(commands, ahead)
                ahead, commands = [], b""
            ahead.append(call)
            commands += command
        yield from self._send_ahead(commands, ahead)

    def _command_of(self, call: Callable[[], object]) -> bytes:
        self._noted = noted = bytearray()
        try:
            with suppress(_NotedError):
                call()
        finally:
            self._noted = None
        return bytes(noted)

    def _send_ahead(self, commands: bytes, calls: Sequence[Callable[[], T]]) -> Iterator[Callable[[], T]]:
        super().sendall(commands)
        self._sent = len(commands)
        yield from calls

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send it, unless it was sent with others."""
        if self._noted is not None:
            self._noted += data
            raise _NotedError
        if self._sent:
            self._sent -= len(data)
        else:
            super().sendall(data, flags)


def connect(address: Address, timeout: float) -> PipedSocket:
    """Connect to a unix socket's path or to (host, port), with a time limit on this and each later operation."""
    if isinstance(address, str):
        opened = PipedSocket(socket.AF_UNIX, socket.SOCK_STREAM)
    else:
        found = socket.create_connection(address, timeout)
        opened = PipedSocket(found.family, found.type, fileno=found.detach())
    try:
        opened.settimeout(timeout)
        if isinstance(address, str):
            opened.connect(address)
        else:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        opened.close()
        raise
    return opened
