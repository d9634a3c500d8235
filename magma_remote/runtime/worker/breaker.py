"""Keeps a machine in trouble from failing one job after another."""

from __future__ import annotations

from magma_remote.model.outcome import MACHINE_FAULTS, Reason
from magma_remote.model.units import human_seconds

FAILURES = 3
"""Failures in a row that are the machine's rather than a fuzzer's, after which it pauses."""

_FIRST_PAUSE = 60.0
_LONGEST_PAUSE = 3600.0


class Breaker:
    """Each pause is twice as long as the one before; a trial that does not fail for the machine ends all that."""

    def __init__(self) -> None:
        self._failures = 0
        self._until = float("-inf")
        self._why = ""

    def ended(self, reason: Reason | None, message: str, now: float) -> None:
        """A run ended, complete without a reason."""
        if reason is Reason.INTERRUPTED:
            return
        if reason not in MACHINE_FAULTS:
            self._failures, self._until = 0, float("-inf")
            return
        self._failures += 1
        if self._failures >= FAILURES:
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._failures - FAILURES, 10))
            self._until = now + pause
            self._why = (
                f"pauses for {human_seconds(pause)} after {self._failures} failures in a row, the last: {message}"
            )

    def obstacle(self, now: float) -> str:
        """Why no run should start now, or an empty text."""
        return self._why if now < self._until else ""
