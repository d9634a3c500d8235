"""Ctrl-C, a closed terminal and `kill` as one thing: a wish to stop."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from magma_remote.errors import StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def on_stop(act: Callable[[str], None]) -> Iterator[None]:
    """Call `act` with the signal's name, in the main thread, between two steps of whatever it does.

    A signal that is ignored stays ignored: `nohup` is a wish to go on when the terminal closes.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        act(signal.Signals(number).name)

    before = {number: signal.signal(number, handle) for number in _heard()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def outlast() -> None:
    """From now on a signal outside of `on_stop` does nothing: one that comes late must not break a run's last words."""
    for number in _heard():
        signal.signal(number, lambda _number, _frame: None)


@contextmanager
def held_back() -> Iterator[None]:
    """Signals wait for the end of this, where this thread alone hears any.

    A thread that is started in it hears none; a process that is forked in it neither, until it is `deaf`.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def deaf() -> None:
    """What a process forked in `held_back` begins with: no signal, those that waited neither, calls a handler."""
    ignore()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def ignore() -> None:
    """For the very end: Python gives its own handlers up before the process is gone, and an ignored signal it keeps."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _heard() -> list[signal.Signals]:
    return [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


def raise_stopped(name: str) -> None:
    """For `on_stop` while nothing runs yet that has to be ended with care."""
    raise StoppedError(f"stopped by {name} before any trial was started")
