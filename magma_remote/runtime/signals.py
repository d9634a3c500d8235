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

    heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def raise_stopped(name: str) -> None:
    """For `on_stop` while nothing runs yet that has to be ended with care."""
    raise StoppedError(f"stopped by {name} before any trial was started")
