"""The PoCs of one trial that is over: its files unpacked, a container of its image, its cases run once each."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from magma_remote.errors import EngineGoneError, MagmaRemoteError, StorageError
from magma_remote.model import container
from magma_remote.model.campaign import Campaign
from magma_remote.model.outcome import Kill
from magma_remote.model.pocs import Ended, Extracted
from magma_remote.model.units import Duration, human_bytes
from magma_remote.runtime.extracting.unpacking import Source
from magma_remote.runtime.files import remove_tree
from magma_remote.runtime.storage import free_bytes
from magma_remote.runtime.trial.cache import Shared
from magma_remote.runtime.trial.contained import Contained
from magma_remote.runtime.trial.extract import extract

if TYPE_CHECKING:
    from magma_remote.model.cpus import CpuSet
    from magma_remote.model.experiment import Trial
    from magma_remote.model.jobs import Job
    from magma_remote.model.layout import Workdir
    from magma_remote.ports import Runner
    from magma_remote.runtime.extracting.images import Chosen
    from magma_remote.runtime.extracting.store import Store
    from magma_remote.runtime.trial.cache import Cache

# container.environment wants one; no script that an extraction runs reads TIMEOUT or POLL
_ANY = Campaign(repeat=1, fuzzers=(), targets=(), timeout=Duration.parse("1m"))
_ONE_OPENS = Lock()
_SPARE = 16 << 20  # bytes that the programs themselves may write


@dataclass(frozen=True, kw_only=True)
class Task:
    """A trial, with the arguments that it ran with, and its image."""

    trial: Trial
    job: Job
    chosen: Chosen


@dataclass(frozen=True, kw_only=True)
class Site:
    """What the trials share; one may take `share` bytes of `memory`, a larger one goes to `disk`."""

    workdir: Workdir
    store: Store
    runner: Runner
    memory: Cache
    disk: Cache
    share: int


class TrialExtraction:
    """Runs in a thread of its own; `stop` is for another."""

    def __init__(self, site: Site, task: Task, cpus: CpuSet) -> None:
        self.task = task
        self._site = site
        self._cpus = cpus
        self._contained = Contained(site.runner)

    def stop(self) -> None:
        """End it now; it is done anew the next time."""
        self._contained.kill(Kill.STOPPED)

    def run(self) -> Ended:
        """Run to the end; what goes wrong becomes the outcome, and nothing is left in the cache.

        EngineGoneError where no other trial would fare better.
        """
        trial = self.task.trial
        try:
            extracted, new = self._run()
        except EngineGoneError:
            if not self._contained.stopped:
                raise
            return Ended(trial=trial, why="stopped", stopped=True)
        except MagmaRemoteError as error:
            stopped = self._contained.stopped
            return Ended(trial=trial, why="stopped" if stopped else str(error), stopped=stopped)
        except OSError as error:
            return Ended(trial=trial, why=f"{error.filename or 'its files'}: {error.strerror or error}")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this trial's alone and must not end others
            return Ended(trial=trial, why=f"a defect of this program: {error!r}")
        return Ended(trial=trial, extracted=extracted, new=new)

    def _run(self) -> tuple[Extracted, int]:
        site, task = self._site, self.task
        before = site.store.source(task.trial)
        source = Source.of(site.workdir.entry(task.job))
        folder = self._cache(source.size).trial(task.job, f"extract,{_run_name(task)}")
        shared = Shared(folder)
        try:
            shared.make()
            odd = source.unpack(shared.path, most=source.size)
            with self._contained.container(self._spec(shared)) as running:
                found = extract(site.runner, running, shared.path, site.workdir.pocs, task.job)
        finally:
            with suppress(OSError):
                remove_tree(folder)
        extracted = Extracted(
            trial=task.trial,
            findings=found.findings,
            pocs=found.pocs,
            image=task.chosen.image.id,
            recipe=task.chosen.image.digest,
            assumed=task.chosen.assumed,
            problems=(*odd, *found.problems, *self._contained.problems),
        )
        site.store.save(extracted, before)
        return extracted, found.new

    def _cache(self, needed: int) -> Cache:
        site = self._site
        if needed + _SPARE <= site.share and needed + _SPARE <= free_bytes(site.memory.root):
            return site.memory
        with _ONE_OPENS:
            site.disk.open()
        free = free_bytes(site.disk.root)
        if needed + _SPARE > free:
            raise StorageError(
                f"its files take {human_bytes(needed)}, and {site.disk.root} has {human_bytes(free)} free: make room"
            )
        return site.disk

    def _spec(self, shared: Shared) -> container.ContainerSpec:
        task = self.task
        return container.ContainerSpec(
            image=task.chosen.image.id,
            shared=shared.path,
            cpus=self._cpus,
            environment=container.environment(task.job, _ANY, self._cpus),
            labels=container.labels(task.job, workdir=self._site.workdir.root, campaign_id="", cpus=self._cpus),
            command=("sleep", "infinity"),
        )


def _run_name(task: Task) -> str:
    return ",".join(map(str, task.trial))
