"""An engine that restarts is back within a minute: a trial of a day does not end for that."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from magma_remote.errors import EngineGoneError

if TYPE_CHECKING:
    from collections.abc import Callable

ENGINE_SECONDS = 60.0
_LOOK = 0.5

T = TypeVar("T")


def patiently(act: Callable[[], T], *, seconds: float | None = None) -> T:
    """Do it again and again while the engine is gone; EngineGoneError where it stays away, else what `act` does."""
    until = time.monotonic() + (ENGINE_SECONDS if seconds is None else seconds)
    while True:
        try:
            return act()
        except EngineGoneError:
            if time.monotonic() >= until:
                raise
            time.sleep(_LOOK)
