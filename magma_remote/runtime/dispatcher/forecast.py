"""How long it will take, told whenever the workers that are there change."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from magma_remote.model.heartbeat import WorkerState
from magma_remote.model.units import human_seconds
from magma_remote.runtime.dispatcher.standing import read_standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from magma_remote.ports import Clock, Ledger

_LOOK_SECONDS = 10.0

log = logging.getLogger(__name__)


class Forecast:
    """`demands` are CPUs per trial of each fuzzer, 1 where it has none."""

    def __init__(self, ledger: Ledger, clock: Clock, demands: Mapping[str, int]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._demands = demands
        self._looked_at = float("-inf")
        self._told: tuple[int, int] = (0, 0)

    def look(self) -> None:
        """Tell it, if it is time and there is something new to tell. Not within a transaction."""
        now = self._clock.monotonic()
        if now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        beats = [entry.heartbeat for entry in self._ledger.workers() if not entry.lost]
        ready = [beat for beat in beats if beat.state is WorkerState.READY]
        found = len(ready), sum(len(beat.sets) for beat in ready)
        if found == self._told:
            return
        self._told = found
        eta = read_standing(self._ledger, self._clock.now(), demands=self._demands).eta
        if eta:
            log.info("workers: %d, CPU sets: %d, about %s to go", *found, human_seconds(eta))
