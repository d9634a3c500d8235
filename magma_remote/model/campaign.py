"""What a campaign file says, typed and frozen."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .tree import MagmaTree
    from .units import Duration, Size


class WorkerMode(Enum):
    """What a CPU node is: a logical CPU, a physical core or a socket (captain's WORKER_MODE 1, 2, 3)."""

    LOGICAL = "logical"
    PHYSICAL = "physical"
    SOCKET = "socket"


class CanaryMode(IntEnum):
    """Magma's CANARY_MODE: 1 bugs with canaries, 2 bugs alone, 3 bugs fixed."""

    CANARIES = 1
    BARE = 2
    FIXES = 3


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """A validated campaign file.

    `targets` is never empty: where the file leaves TARGETS out, it holds all targets of the tree.
    Keys of `programs` and `fuzzargs` are `"fuzzer,target"` or `"fuzzer"`; the longer one wins.
    `workers` and `tmpfs_size` are None where the file does not give them; `magma` is the path as written.
    """

    repeat: int
    fuzzers: tuple[str, ...]
    targets: tuple[str, ...]
    timeout: Duration
    overridden_targets: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    programs: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    fuzzargs: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    worker_mode: WorkerMode = WorkerMode.LOGICAL
    workers: int | None = None
    worker_pool: tuple[int, ...] | None = None
    campaign_workers: int = 1
    fuzzer_campaign_workers: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    poll: int = 5
    cache_on_disk: bool = False
    no_archive: bool = False
    isan: bool = False
    harden: bool = False
    poc_extract: bool = False
    tmpfs_size: Size | None = None
    canary_mode: CanaryMode = CanaryMode.CANARIES
    magma: str | None = None

    def workers_for(self, fuzzer: str) -> int:
        """Least number of logical CPUs that a trial of `fuzzer` needs."""
        return self.fuzzer_campaign_workers.get(fuzzer, self.campaign_workers)

    def targets_for(self, fuzzer: str) -> tuple[str, ...]:
        """What `fuzzer` runs on: its override, or TARGETS."""
        return self.overridden_targets.get(fuzzer, self.targets)

    def programs_for(self, fuzzer: str, target: str, tree: MagmaTree) -> tuple[str, ...]:
        """Programs of one pair: its own list, else what the target has of the fuzzer's list, else all."""
        exact = self.programs.get(f"{fuzzer},{target}")
        if exact is not None:
            return exact
        offered = tree.programs(target)
        return tuple(p for p in self.programs.get(fuzzer, tuple(offered)) if p in offered)

    def fuzzargs_for(self, fuzzer: str, target: str) -> str:
        """Arguments of the fuzzer for one pair; the longer key wins."""
        return self.fuzzargs.get(f"{fuzzer},{target}", self.fuzzargs.get(fuzzer, ""))
