"""What may go wrong with a beanstalkd, and what to tell a person of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import greenstalk

from magma_remote.errors import QueueError, QueueGoneError

if TYPE_CHECKING:
    from magma_remote.adapters.piped_socket import Address

NOTHING = (greenstalk.NotFoundError, greenstalk.TimedOutError, greenstalk.DeadlineSoonError)
NO_SENSE = (greenstalk.UnknownResponseError, AssertionError, ValueError)  # what greenstalk makes of a broken reply
ENDED = (ConnectionError, FileNotFoundError)  # the server itself has gone: so have all other connections to it
_FULL = "it is out of memory, or its binlog's disk is full: make room where it runs"
ADVICE: dict[type[greenstalk.BeanstalkdError], str] = {
    greenstalk.JobTooBigError: "it was started with a small -z: start it without",
    greenstalk.OutOfMemoryError: _FULL,
    greenstalk.BuriedError: _FULL,
    greenstalk.DrainingError: "it was told to drain (SIGUSR1) and takes nothing until it is started anew",
    greenstalk.InternalError: "it has failed within: see its log, and start it anew",
}
_NOT_UNDERSTOOD = "it does not understand this: beanstalkd 1.12 or newer is needed"


def refused(address: Address, tube: str, error: greenstalk.BeanstalkdError) -> QueueError:
    """The server answers, and does not do it."""
    advice = ADVICE.get(type(error), _NOT_UNDERSTOOD)
    return QueueError(f"{name(address)} refuses a command for the tube {tube}: {advice}")


def gone(address: Address, error: OSError, timeout: float) -> QueueGoneError:
    """The server does not answer, for `timeout` seconds or at all."""
    why = f"no answer for {timeout:g} s" if isinstance(error, TimeoutError) else error.strerror or str(error)
    return QueueGoneError(
        f"{name(address)} cannot be reached: {why}; check that beanstalkd runs, that this is its address, "
        "and that the tunnel or network to it is up"
    )


def no_sense(address: Address) -> QueueGoneError:
    """The server has answered what it cannot mean."""
    return QueueGoneError(f"{name(address)}: a reply makes no sense; the connection is made anew")


def name(address: Address) -> str:
    """A queue's name for people."""
    if isinstance(address, str):
        return f"queue unix:{address}"
    host, port = address
    return f"queue [{host}]:{port}" if ":" in host else f"queue {host}:{port}"
