"""A dispatcher's machine in memory that has a campaign's images, for tests of them."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from magma_remote.adapters.memory_guards import MemoryGuards
from magma_remote.adapters.memory_registry import MemoryRegistry
from magma_remote.adapters.memory_reporter import MemoryReporter
from magma_remote.adapters.memory_runner import MemoryRunner
from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.model.entries import CampaignEntry, JobEntry, JobState
from magma_remote.runtime.dispatcher.supply import supply
from magma_remote.runtime.images.images import Images, Owner
from magma_remote.runtime.images.provision import Bench, Provision
from tests.support.memory.quickrun import a_campaign, a_job

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from magma_remote.model.entries import PinEntry
    from magma_remote.model.layout import Workdir
    from magma_remote.runtime.dispatcher.supply import Supply

PNG, TIFF = ("afl", "libpng"), ("afl", "libtiff")
OWNER = Owner(uid=642, gid=643)
ENTRY = CampaignEntry(config_id="c1", source="c", text="{}", tree="0", since=0.0, timeout=60.0, max_attempts=3)


class Host:
    """A dispatcher's machine with CPUs 0 to 3, of which its builds may use two."""

    def __init__(self, tree: Path, workdir: Workdir, ledger: SqliteLedger) -> None:
        self.tree = tree
        self.workdir = workdir
        self.ledger = ledger
        self.runner = MemoryRunner()
        self.registry = MemoryRegistry(self.runner)
        self.guards = MemoryGuards()
        self.reporter = MemoryReporter()

    def provision(self, pins: tuple[PinEntry, ...] = ()) -> Provision:
        """As another process would make it."""
        bench = Bench(workdir=self.workdir, owner=OWNER, worker_ip="192.0.2.7", cpus=(0, 1), machine=(0, 1, 2, 3))
        images = Images(
            runner=self.runner,
            guards=self.guards,
            reporter=self.reporter,
            campaign=a_campaign(targets=("libpng", "libtiff")),
            campaign_id="c1",
            root=self.tree,
            owner=OWNER,
            workdir=self.workdir,
            worker_ip="192.0.2.7",
            cpus=(0, 1),
        )
        return Provision(
            bench,
            images,
            runner=self.runner,
            registry=self.registry,
            guards=self.guards,
            reporter=self.reporter,
            pins=pins,
        )

    def supply(self) -> Supply:
        """What `dispatch` does."""
        return supply(self.ledger, self.provision(self.ledger.pins()), [PNG, TIFF], OWNER)

    def states(self) -> list[JobState]:
        return [entry.state for entry in self.ledger.jobs()]

    def settle(self, number: int, state: JobState) -> None:
        entry = self.ledger.job(number)
        assert entry
        self.ledger.save_job(replace(entry, state=state))


@contextmanager
def a_host(tree: Path, workdir: Workdir, folder: Path) -> Iterator[Host]:
    """Its campaign has two jobs of PNG and one of TIFF, and no image yet."""
    with closing(SqliteLedger(folder / "ledger.sqlite")) as ledger:
        ledger.save_campaign(ENTRY)
        jobs = [a_job(0), a_job(1), a_job(0, target="libtiff", program="tiffcp")]
        ledger.add_jobs(JobEntry(number=number, job=job) for number, job in enumerate(jobs))
        yield Host(tree, workdir, ledger)
