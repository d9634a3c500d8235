"""An engine that restarts is back within a minute: a trial of a day does not end for that."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from magma_remote.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from magma_remote.ports import Runner

ENGINE_SECONDS = 60.0
_LOOK = 0.5


def patiently(runner: Runner, act: Callable[[], None], *, seconds: float | None = None) -> None:
    """Do it again once the engine answers again; EngineError where it fails while the engine is there."""
    until = time.monotonic() + (ENGINE_SECONDS if seconds is None else seconds)
    while True:
        try:
            return act()
        except EngineError:
            if not _comes_back(runner, until):
                raise


def _comes_back(runner: Runner, until: float) -> bool:
    """Whether it was gone and answers again before `until`."""
    gone = False
    while time.monotonic() < until:
        try:
            runner.check()
        except EngineError:
            gone = True
            time.sleep(_LOOK)
        else:
            return gone
    return False
