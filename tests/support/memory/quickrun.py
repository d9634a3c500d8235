"""A whole quickrun on a machine in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from magma_remote.adapters.memory_container import Script
from magma_remote.adapters.memory_guards import MemoryGuards
from magma_remote.adapters.memory_reporter import MemoryReporter
from magma_remote.adapters.memory_runner import MemoryRunner
from magma_remote.model.campaign import Campaign, WorkerMode
from magma_remote.model.container import JOB_LABEL
from magma_remote.model.cpus import Layout
from magma_remote.model.jobs import Job
from magma_remote.model.layout import Workdir, trial_key
from magma_remote.model.outcome import Reason
from magma_remote.model.units import Duration
from magma_remote.runtime import quickrun
from magma_remote.runtime.images.images import Image, Owner
from magma_remote.runtime.pool import Pool
from magma_remote.runtime.trial import cache
from magma_remote.runtime.trial.trial import Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from magma_remote.model.container import ContainerSpec
    from magma_remote.model.cpus import CpuSet
    from magma_remote.model.result import Result

JOIN_SECONDS = 10.0  # what goes well takes milliseconds


def a_job(repeat: int = 0, target: str = "libpng", program: str = "readpng") -> Job:
    return Job(repeat=repeat, fuzzer="afl", target=target, program=program)


def a_campaign(**settings: Any) -> Campaign:
    defaults: dict[str, Any] = {
        "repeat": 1,
        "fuzzers": ("afl",),
        "targets": ("libpng",),
        "timeout": Duration.parse("1m"),
    }
    return Campaign(**defaults | settings)


class QuickPool(Pool):
    """A pool that enforces limits without waiting, and that a test can look into."""

    made: list[QuickPool]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._tick = 0.01
        self.made.append(self)

    def assert_nothing_is_left(self) -> None:
        for thread in self._threads.values():
            thread.join(JOIN_SECONDS)
            assert not thread.is_alive()
        assert self._leases.free == self._layout.sets


@dataclass
class Lab:
    """A campaign on a machine in memory: change what a test is about, then `run`."""

    root: Path
    workdir: Workdir
    shm: Path
    campaign: Campaign = field(default_factory=a_campaign)
    jobs: tuple[Job, ...] = (a_job(0), a_job(1), a_job(2))
    sets: tuple[CpuSet, ...] = ((0,), (1,))
    scripts: dict[Job, Script] = field(default_factory=dict)
    script: Script = field(default_factory=Script)
    guards: MemoryGuards = field(default_factory=MemoryGuards)
    reporter: MemoryReporter = field(default_factory=MemoryReporter)
    pools: list[QuickPool] = field(default_factory=list)
    results: tuple[Result, ...] = ()

    def __post_init__(self) -> None:
        self.runner = MemoryRunner(self._script)

    def _script(self, spec: ContainerSpec) -> Script:
        return {str(job): script for job, script in self.scripts.items()}.get(
            spec.labels.get(JOB_LABEL, ""), self.script
        )

    def settings(self, **settings: Any) -> None:
        """Change the campaign."""
        self.campaign = replace(self.campaign, **settings)

    @property
    def layout(self) -> Layout:
        return Layout(sets=self.sets, mode=WorkerMode.LOGICAL)

    def order(self) -> quickrun.Order:
        return quickrun.Order(
            campaign=self.campaign,
            jobs=self.jobs,
            root=self.root,
            layout=self.layout,
            workdir=self.workdir,
            owner=Owner(uid=1000, gid=1000),
            worker_ip="192.0.2.7",
        )

    def run_unchecked(self) -> None:
        """A whole quickrun."""
        self.reporter.results.clear()
        outside = quickrun.Outside(runner=self.runner, guards=self.guards, reporter=self.reporter)
        self.results = quickrun.quickrun(self.order(), outside)

    def run(self) -> tuple[Result, ...]:
        """A whole quickrun, and what must be so after each of them."""
        before = set(self.entries())
        kept = {path.parent.name for path in self.shm.glob("*/*/*/trial.json")}
        self.run_unchecked()
        self.assert_sound(before, kept)
        return self.results

    def site(self, **limits: Any) -> Site:
        """A site for a Pool or a Trial of its own."""
        place = cache.Cache.of(self.campaign, self.workdir)
        for folder in (self.workdir.logs, self.workdir.records, self.workdir.staging, self.workdir.pocs):
            folder.mkdir(parents=True, exist_ok=True)
        place.open()
        return Site(
            campaign=self.campaign,
            campaign_id="c0ffee",
            workdir=self.workdir,
            cache=place,
            runner=self.runner,
            **limits,
        )

    def pool(self, **limits: Any) -> QuickPool:
        return QuickPool(self.site(**limits), self.layout, self.reporter)

    def images(self) -> dict[Job, Image]:
        return {job: Image(id=f"sha256:{job.fuzzer}", digest="d1") for job in self.jobs}

    def entries(self) -> Iterator[Path]:
        return self.workdir.ar.glob("*/*/*/*")

    def reasons(self) -> list[Reason | None]:
        return [result.reason for result in self.results]

    def assert_sound(self, before: set[Path], kept: set[str]) -> None:
        """Each job has one Result, each complete one an entry, and each that ran was told of once."""
        assert tuple(result.job for result in self.results) == self.jobs
        complete = {self.workdir.entry(result.job) for result in self.results if result.complete}
        assert set(self.entries()) == complete
        told = [result.job for result in self.reporter.results]
        stopped = {result.job for result in self.results if result.message.startswith("not started")}
        assert len(told) == len(set(told))
        stuck = {result.job for result in self.results if result.reason is Reason.ARCHIVE}
        there = {job for job in self.jobs if self.workdir.entry(job) in before or trial_key(job) in kept}
        assert set(self.jobs) - there == (set(told) | stopped) - (there & stuck)
        assert not list(self.workdir.staging.iterdir())
        self.assert_nothing_is_left()
        assert bool(list(self.shm.glob("*/*"))) == (Reason.ARCHIVE in self.reasons())

    def assert_nothing_is_left(self) -> None:
        assert self.runner.gone or not self.runner.containers
        assert not self.runner.clashes
        assert not self.guards.held
        for pool in self.pools:
            pool.assert_nothing_is_left()
