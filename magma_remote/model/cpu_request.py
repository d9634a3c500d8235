"""What a campaign asks of each machine's CPUs, and what a machine makes of it.

The worker decides by this before its first trial, and a playbook before it starts anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import CpuError
from .campaign import WorkerMode
from .cpus import check_demands, cpu_list, cpu_sets, unmet

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from .campaign import Campaign
    from .cpus import CpuSet, Layout
    from .lscpu import Cpu


@dataclass(frozen=True, kw_only=True)
class CpuRequest:
    """A campaign file's keys on CPUs. `demands` are the least logical CPUs of a trial of each fuzzer."""

    mode: WorkerMode = WorkerMode.LOGICAL
    workers: int | None = None
    pool: CpuSet | None = None
    campaign_workers: int = 1
    demands: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, campaign: Campaign) -> CpuRequest:
        """What this campaign asks for."""
        return cls(
            mode=campaign.worker_mode,
            workers=campaign.workers,
            pool=campaign.worker_pool,
            campaign_workers=campaign.campaign_workers,
            demands={fuzzer: campaign.workers_for(fuzzer) for fuzzer in campaign.fuzzers},
        )

    @classmethod
    def from_members(cls, members: Mapping[str, Any]) -> CpuRequest:
        """What `members` gave, once each is known to be of its type."""
        usual = members["campaign_workers"]
        special = members["fuzzer_campaign_workers"]
        return cls(
            mode=WorkerMode(members["worker_mode"]),
            workers=members["workers"],
            pool=None if members["worker_pool"] is None else tuple(sorted(members["worker_pool"])),
            campaign_workers=usual,
            demands={fuzzer: int(special.get(fuzzer, usual)) for fuzzer in members["fuzzers"]},
        )

    def members(self) -> dict[str, Any]:
        """The keys in small letters, as JSON takes them; all of them, None where the file leaves one out."""
        usual = self.campaign_workers
        return {
            "worker_mode": self.mode.value,
            "workers": self.workers,
            "worker_pool": None if self.pool is None else list(self.pool),
            "campaign_workers": usual,
            "fuzzer_campaign_workers": {fuzzer: n for fuzzer, n in self.demands.items() if n != usual},
            "fuzzers": list(self.demands),
        }


def trial_cpus(cpus: Sequence[Cpu], allowed: AbstractSet[int], housekeeping: Collection[int]) -> frozenset[int]:
    """Those CPUs, of the ones that the affinity mask allows, that are not kept for a worker's own work.

    CpuError where HOUSEKEEPING_CPUS names one that cannot be used, or leaves nothing.
    """
    online = {cpu.number for cpu in cpus} & allowed
    if missing := set(housekeeping) - online:
        raise CpuError(
            f"HOUSEKEEPING_CPUS: CPU {cpu_list(missing)} cannot be used; this worker may use {cpu_list(online)}; "
            "name some of these"
        )
    if not online - set(housekeeping):
        raise CpuError("HOUSEKEEPING_CPUS holds all CPUs that this worker may use: leave some to the trials")
    return frozenset(allowed - set(housekeeping))


def lay_out(
    request: CpuRequest, cpus: Sequence[Cpu], allowed: AbstractSet[int], housekeeping: Collection[int]
) -> Layout:
    """What housekeeping leaves for trials, laid out as the campaign asks; CpuError where it cannot be."""
    left = trial_cpus(cpus, allowed, housekeeping)
    try:
        return _sets(request, cpus, left)
    except CpuError as error:
        if not housekeeping:
            raise
        raise CpuError(f"{error} (HOUSEKEEPING_CPUS takes {cpu_list(housekeeping)} here)") from error


def layout_for(campaign: Campaign, cpus: Sequence[Cpu], allowed: AbstractSet[int] | None) -> Layout:
    """Lay out what a campaign file asks for and check every fuzzer's demand; CpuError where it cannot be met."""
    request = CpuRequest.of(campaign)
    layout = _sets(request, cpus, allowed)
    check_demands(layout.sets, request.demands)
    return layout


def _sets(request: CpuRequest, cpus: Sequence[Cpu], allowed: AbstractSet[int] | None) -> Layout:
    return cpu_sets(
        cpus,
        mode=request.mode,
        workers=request.workers,
        pool=request.pool,
        campaign_workers=request.campaign_workers,
        allowed=allowed,
    )


def too_wide(request: CpuRequest, layout: Layout) -> dict[str, str]:
    """The fuzzers whose trials need more CPUs than all sets hold, each with the reason."""
    there = sum(map(len, layout.sets))
    return {
        fuzzer: f"a trial wants {demand} logical CPUs, all CPU sets of this worker together hold {there}"
        for fuzzer, demand in unmet(layout.sets, request.demands).items()
    }


def layout_text(layout: Layout, housekeeping: Collection[int] = ()) -> str:
    """A layout for people: `2 CPU sets: 0-1 2-3; idle: 4 (too few for one more set)`."""
    count = len(layout.sets)
    text = f"{count} CPU {'set' if count == 1 else 'sets'}: {' '.join(map(cpu_list, layout.sets))}"
    kept = set(housekeeping)
    idle = (
        (layout.left_over, "too few for one more set"),
        (layout.spare, "not asked for"),
        (kept, "housekeeping"),
        (set(layout.outside) - kept, "outside the affinity mask"),
    )
    told = [f"{cpu_list(cpus)} ({why})" for cpus, why in idle if cpus]
    return f"{text}; idle: {', '.join(told)}" if told else text
