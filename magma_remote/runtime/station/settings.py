"""What a station is given: a person's settings, the world, and the CPUs of its machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from magma_remote.model.cpu_request import CpuRequest, lay_out, trial_cpus
from magma_remote.runtime import affinity

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from magma_remote.model.campaign import Campaign
    from magma_remote.model.cpus import CpuSet, Layout
    from magma_remote.model.document import Table
    from magma_remote.model.lscpu import Cpu
    from magma_remote.model.tree import MagmaTree
    from magma_remote.ports import Guards, Registry, Runner
    from magma_remote.runtime.images.images import Owner


@dataclass(frozen=True, kw_only=True)
class StationSettings:
    """What a person decides. `root` is this machine's Magma tree, if any; results are fetched from `host` by ssh.

    `worker` and `name` are those of WORKDIRS; with `keep` the folders of runs stay when they are not needed any more.
    The worker's own work keeps to the CPUs `housekeeping` where there are any.
    """

    workdirs: Path
    keep: bool
    root: Path | None
    worker: str
    name: str
    host: str
    ssh_port: int
    ssh_user: str
    owner: Owner
    housekeeping: CpuSet = ()


@dataclass(frozen=True, kw_only=True)
class StationOutside:
    """The world that a station needs.

    `read_document` parses a campaign file's text (its source for messages comes second), `read_tree` reads a Magma
    tree, `machine` tells the online CPUs and those that the affinity mask allows. They raise as the adapters do.
    `registry` is the dispatcher's, where the settings name one.
    """

    runner: Runner
    guards: Guards
    read_document: Callable[[str, str], Table]
    read_tree: Callable[[Path], MagmaTree]
    machine: Callable[[], tuple[tuple[Cpu, ...], frozenset[int]]]
    registry: Registry | None = None


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The CPUs of this machine that campaigns and this process may use."""

    cpus: tuple[Cpu, ...]
    allowed: frozenset[int]
    housekeeping: CpuSet

    def __post_init__(self) -> None:
        trial_cpus(self.cpus, self.allowed, self.housekeeping)  # what can never be used is told at once

    def layout(self, campaign: Campaign) -> Layout:
        """What is left for trials, laid out as the campaign asks; CpuError where it cannot be."""
        return lay_out(CpuRequest.of(campaign), self.cpus, self.allowed, self.housekeeping)

    def keep_off(self, trial_cpus: CpuSet, guards: Guards) -> None:
        """Move all of this process to CPUs that no trial has, or to idle priority where there are none."""
        threads = affinity.all_threads()
        for thread in threads if self.housekeeping else ():
            affinity.stay_on(self.housekeeping, thread)
        if not self.housekeeping:
            affinity.keep_off(trial_cpus, self.allowed, guards, threads=threads)
