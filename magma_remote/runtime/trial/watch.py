"""Looks after trials that run: their limits, their caches and, seldom enough, their monitors."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from magma_remote.model.canaries import Bugs
from magma_remote.runtime.trial import monitor

if TYPE_CHECKING:
    from collections.abc import Collection

    from magma_remote.model.campaign import Campaign
    from magma_remote.runtime.trial.trial import Trial

_LOOKS = 200  # how often the monitors are read in one TIMEOUT, at the most: reading costs the trials' CPUs
_LONGEST_TICK = 10.0


class Watch:
    """For one campaign; `tick` is how many seconds there should be between two looks."""

    def __init__(self, campaign: Campaign) -> None:
        timeout = campaign.timeout.seconds
        self.tick = min(max(1.0, timeout / _LOOKS), _LONGEST_TICK)
        self._read_every = max(campaign.poll, timeout / _LOOKS)
        self._read_at = float("-inf")
        self._bugs: dict[Trial, Bugs] = {}

    def look(self, trials: Collection[Trial]) -> None:
        """End trials that take longer than they may; read the monitors of all where it is time to."""
        for trial in trials:
            trial.enforce()
        now = time.monotonic()
        if now - self._read_at >= self._read_every:
            self._read_at = now
            self._bugs = {trial: monitor.bugs(trial.shared) for trial in trials}

    def bugs(self, trial: Trial) -> Bugs:
        """What a trial had found when the monitors were last read."""
        return self._bugs.get(trial, Bugs())
