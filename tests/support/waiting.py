"""Waits for a condition, never for a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE = 120.0  # seconds: what goes well takes a moment, or a few seconds where images are built


def until(condition: Callable[[], object], deadline: float = DEADLINE, *, every: float = 0.01) -> None:
    """Wait until it is true; AssertionError where it is not within so many seconds."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"the condition did not come true within {deadline:g} s"
        time.sleep(every)
