"""How long a campaign lasts on machines whose CPUs are laid out, before anything starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import CpuError
from .eta import Slots, eta
from .findings import listed
from .units import human_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`seconds` that all trials take, without what comes before and after fuzzing; `sets` on all workers together."""

    trials: int
    timeout: float
    workers: int
    sets: int
    seconds: float

    def __str__(self) -> str:
        """`16 trials of 1 h on 8 CPU sets of 2 workers: about 2 h, and …`."""
        return (
            f"{_count(self.trials, 'trial')} of {human_seconds(self.timeout)} on {_count(self.sets, 'CPU set')} of "
            f"{_count(self.workers, 'worker')}: about {human_seconds(self.seconds)}, and what archiving takes"
        )


def plan(trials: Mapping[str, int], timeout: float, demands: Mapping[str, int], workers: Mapping[str, Slots]) -> Plan:
    """Plan for `trials` (a number per fuzzer) of `timeout` seconds, each on its fuzzer's `demands` CPUs.

    CpuError where no worker can run a fuzzer's trials.
    """
    if not workers:
        raise CpuError("no worker is there for this campaign: name some in the inventory's group workers")
    nowhere = [
        fuzzer
        for fuzzer, count in trials.items()
        if count and not any(slots.room(fuzzer, demands.get(fuzzer, 1)) for slots in workers.values())
    ]
    if nowhere:
        wanted = listed(f"{fuzzer} ({demands.get(fuzzer, 1)})" for fuzzer in nowhere)
        raise CpuError(
            f"no worker has so many logical CPUs for one trial: {wanted}; lower FUZZER_CAMPAIGN_WORKERS or "
            "CAMPAIGN_WORKERS, or add a worker that has more"
        )
    return Plan(
        trials=sum(trials.values()),
        timeout=timeout,
        workers=len(workers),
        sets=sum(len(slots.sets) for slots in workers.values()),
        seconds=eta(trials, list(workers.values()), timeout, demands=demands) or 0.0,
    )


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
