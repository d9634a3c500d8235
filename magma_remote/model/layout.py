"""Where things are in a WORKDIR: Magma's own `ar/`, `log/`, `poc/`, and what we keep beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from .jobs import Job

TARBALL = "ball.tar"


def trial_name(job: Job) -> str:
    """`FUZZER_TARGET_PROGRAM_RUN`, as captain names its logs; `a_b` on `c` and `a` on `b_c` share one."""
    return f"{job.fuzzer}_{job.target}_{job.program}_{job.repeat}"


def trial_key(job: Job) -> str:
    """`FUZZER,TARGET,PROGRAM,RUN`: names have no comma, so that no two jobs share it."""
    return f"{job.fuzzer},{job.target},{job.program},{job.repeat}"


@dataclass(frozen=True)
class Workdir:
    """Paths under one WORKDIR.

    `staging` is on the file system of `ar`, so that a finished trial enters `ar` by one rename.
    """

    root: Path

    @property
    def ar(self) -> Path:
        """Finished trials, in Magma's layout."""
        return self.root / "ar"

    @property
    def logs(self) -> Path:
        """Container and build logs."""
        return self.root / "log"

    @property
    def pocs(self) -> Path:
        """Test cases that crash or trigger a bug."""
        return self.root / "poc"

    @property
    def records(self) -> Path:
        """One JSON file of facts for each trial that ended."""
        return self.root / "trials"

    @property
    def staging(self) -> Path:
        """Archives in the making."""
        return self.root / "staging"

    @property
    def disk_cache(self) -> Path:
        """SHARED of running trials with CACHE_ON_DISK."""
        return self.root / "cache"

    @property
    def campaign(self) -> Path:
        """The settings that this WORKDIR's trials ran with."""
        return self.root / "campaign.json"

    @property
    def folders(self) -> tuple[Path, ...]:
        """What is there before the first trial."""
        return (self.ar, self.logs, self.pocs, self.records, self.staging)

    def entry(self, job: Job) -> Path:
        """`ar/FUZZER/TARGET/PROGRAM/RUN` of one trial."""
        return self.ar / job.fuzzer / job.target / job.program / str(job.repeat)

    def container_log(self, job: Job) -> Path:
        """`log/FUZZER_TARGET_PROGRAM_RUN_container.log`."""
        return self.logs / f"{trial_name(job)}_container.log"

    def build_log(self, fuzzer: str, target: str, worker_ip: str) -> Path:
        """`log/FUZZER_TARGET_build_WORKERIP.log`."""
        return self.logs / f"{fuzzer}_{target}_build_{worker_ip}.log"

    def record(self, job: Job) -> Path:
        """The facts of one trial."""
        return self.records / f"{trial_key(job)}.json"
