"""The containers of a trial, with the flags, environment and labels of Magma's contract (v1.2 start.sh)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .campaign import Campaign
    from .cpus import CpuSet
    from .jobs import Job

WORKDIR_LABEL = "magma-remote.workdir"
CAMPAIGN_LABEL = "magma-remote.campaign"
JOB_LABEL = "magma-remote.job"
CPUS_LABEL = "magma-remote.cpus"
SHARED = "/magma_shared"


@dataclass(frozen=True, kw_only=True)
class ContainerSpec:
    """A container to create: `shared` is the host's folder behind /magma_shared."""

    image: str
    shared: Path
    cpus: CpuSet
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    command: tuple[str, ...] | None = None


def labels(job: Job, *, workdir: Path, campaign_id: str, cpus: CpuSet) -> dict[str, str]:
    """What a later start needs to find an orphan and its owner."""
    return {
        WORKDIR_LABEL: str(workdir),
        CAMPAIGN_LABEL: campaign_id,
        JOB_LABEL: str(job),
        CPUS_LABEL: listed(cpus),
    }


def environment(job: Job, campaign: Campaign, cpus: CpuSet) -> Mapping[str, str]:
    """What Magma's run.sh reads."""
    return MappingProxyType(
        {
            "PROGRAM": job.program,
            "ARGS": job.args,
            "FUZZARGS": job.fuzzargs,
            "POLL": str(campaign.poll),
            "TIMEOUT": campaign.timeout.text,
            "AFFINITY": listed(cpus),
        },
    )


def listed(cpus: CpuSet) -> str:
    """`0,64`, as Docker and Magma's AFFINITY take it."""
    return ",".join(map(str, cpus))
