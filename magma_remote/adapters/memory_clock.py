"""A clock that tests turn."""

from __future__ import annotations


class MemoryClock:
    """A `Clock` that stands still but for `advance` and `sleep`, which returns at once."""

    def __init__(self) -> None:
        self._start = 1_700_000_000.0
        self._passed = 0.0

    def now(self) -> float:
        """See `Clock.now`."""
        return self._start + self._passed

    def monotonic(self) -> float:
        """See `Clock.monotonic`: since this clock was made."""
        return self._passed

    def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        self.advance(seconds)

    def set(self, seconds: float) -> None:
        """Set the wall clock forward, or back; time passes as before."""
        self._start += seconds

    def advance(self, seconds: float) -> None:
        """Let time pass; it never goes back."""
        self._passed += max(seconds, 0.0)
