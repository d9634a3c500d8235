"""PoC extraction over a whole WORKDIR, after the fact: what is missing is done, and the index is made of all."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from magma_remote.errors import BusyError
from magma_remote.runtime import preflight
from magma_remote.runtime.affinity import keep_off, stay_on
from magma_remote.runtime.extracting.images import TrialImages
from magma_remote.runtime.extracting.pool import ExtractPool
from magma_remote.runtime.extracting.store import Store
from magma_remote.runtime.extracting.tasks import plan
from magma_remote.runtime.extracting.trial import Site
from magma_remote.runtime.images.images import Images
from magma_remote.runtime.signals import on_stop, raise_stopped
from magma_remote.runtime.storage import free_bytes, storage_errors
from magma_remote.runtime.trial.cache import Cache
from magma_remote.runtime.trial.reap import reap
from magma_remote.runtime.workdir.present import check_is_workdir, hold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from magma_remote.model.cpus import CpuSet
    from magma_remote.model.experiment import Trial
    from magma_remote.model.layout import Workdir
    from magma_remote.model.pocs import Extracted
    from magma_remote.ports import ExtractReporter, Guards, Registry, Runner
    from magma_remote.runtime.extracting.known import Background
    from magma_remote.runtime.extracting.tasks import Build

_SHARING = "This process shares a CPU with an extraction (it needs little); --workers one below all gives it its own"
_LARGEST_SHARE = 4 << 30  # bytes of memory for one trial's files


@dataclass(frozen=True, kw_only=True)
class ExtractOrder:
    """`cpus` are those that this process may use, of which at most `workers` are taken; `again` does all anew."""

    workdir: Workdir
    background: Background
    build: Build | None
    cpus: frozenset[int]
    workers: int | None = None
    again: bool = False


@dataclass(frozen=True, kw_only=True)
class ExtractOutside:
    """The world that an extraction needs."""

    runner: Runner
    guards: Guards
    reporter: ExtractReporter
    registry: Registry | None = None


@dataclass(frozen=True, kw_only=True)
class Extracts:
    """`done` are all trials whose PoCs are in the index, `kept` of them from before; `failed` says why others are not.

    `missing` were asked for and have no result in `ar/`; of that, `unread` could not be looked into. `stopped` names
    the signal that ended it early.
    """

    done: tuple[Extracted, ...]
    kept: int
    failed: Mapping[Trial, str]
    missing: tuple[Trial, ...]
    unread: tuple[str, ...]
    index: Path
    stopped: str = ""


@storage_errors("look at the disk, and whose WORKDIR it is")
def extract_workdir(order: ExtractOrder, outside: ExtractOutside) -> Extracts:
    """Extract the trials in `ar/` that were not extracted yet, and write the index.

    UsageError where it is no WORKDIR, BusyError where no CPU is free, other errors where engine or disk fail;
    StoppedError on a signal until the first trial is started.
    """
    workdir = order.workdir
    check_is_workdir(workdir)
    if order.build:
        preflight.check_place(workdir, order.build.root, called="WORKDIR")
    with ExitStack() as listening, ExitStack() as held:
        listening.enter_context(on_stop(raise_stopped))
        held.enter_context(outside.guards.workdir_lock(workdir.root, task="extract"))
        store = Store(workdir)
        store.open()
        held.callback(store.close)
        there = hold(workdir.ar, order.background.asked)
        for problem in there.problems:
            outside.reporter.note(problem)
        trials = there.results
        kept = {} if order.again else store.kept(trials)
        left = [trial for trial in trials if trial not in kept]
        run = _Run(order, outside, store, held, listening)
        found, failed = run.extract(left, len(kept)) if left else ({}, {})
        done = tuple((kept | found)[trial] for trial in trials if trial in kept or trial in found)
        return Extracts(
            done=done,
            kept=len(kept),
            failed=failed,
            missing=tuple(one.trial for one in there.missing),
            unread=there.unread,
            index=store.write_index(done, failed),
            stopped=run.stopped,
        )


class _Run:
    """What an extraction does where there is something left to do; `held` is given back after it."""

    def __init__(
        self, order: ExtractOrder, outside: ExtractOutside, store: Store, held: ExitStack, listening: ExitStack
    ) -> None:
        self._order = order
        self._outside = outside
        self._store = store
        self._held = held
        self._listening = listening
        self.stopped = ""

    def extract(self, trials: Sequence[Trial], kept: int) -> tuple[dict[Trial, Extracted], dict[Trial, str]]:
        """Those that are done now, and why the others are not."""
        outside = self._outside
        preflight.check_core_pattern()  # a program that takes crashes runs on any CPU, a trial's too
        outside.runner.check()
        sets = self._claim()
        site = self._site(sets)
        order, cpus = self._order, tuple(cpu for one in sets for cpu in one)
        tasks, failed = plan(trials, order.workdir, order.background, order.build, self._images(cpus))
        if tasks and not keep_off(cpus, order.cpus, outside.guards):
            outside.reporter.note(_SHARING)
        pool = ExtractPool(site, sets, outside.reporter)
        self._listening.enter_context(on_stop(pool.stop))
        outside.reporter.extracting(trials=len(tasks), kept=kept, slots=len(sets))
        ended = pool.run(tasks)
        self.stopped = pool.stopped
        halted = f"stopped by {self.stopped} before it was done"
        failed |= {trial: halted if one.stopped else one.why for trial, one in ended.items() if not one.extracted}
        failed |= {task.trial: halted for task in tasks if task.trial not in ended}
        return {trial: one.extracted for trial, one in ended.items() if one.extracted}, failed

    def _claim(self) -> tuple[CpuSet, ...]:
        """CPUs that no running trial is pinned to, one for each container."""
        order = self._order
        for last in (False, False, True):
            free = sorted(order.cpus - self._outside.guards.claimed(order.cpus))[: order.workers]
            if not free:
                raise BusyError("all CPUs of this machine are held by running trials: wait until some end")
            try:
                self._held.enter_context(self._outside.guards.cpu_claims(free, owner=str(order.workdir.root)))
                break
            except BusyError:  # somebody was faster: there may be others
                if last:
                    raise
        self._held.callback(stay_on, order.cpus)
        stay_on(free)
        return tuple((cpu,) for cpu in free)

    def _site(self, sets: Sequence[CpuSet]) -> Site:
        """The caches, cleared of what a killed run left."""
        order, outside = self._order, self._outside
        memory, disk = Cache.in_memory(order.workdir), Cache.on_disk(order.workdir)
        cpus = tuple(cpu for one in sets for cpu in one)
        for cache in (memory, disk):
            reap(cpus, order.workdir, cache, runner=outside.runner, guards=outside.guards, reporter=outside.reporter)
            self._held.callback(cache.close)
        share = 0
        if not (order.build and order.build.campaign.cache_on_disk):
            memory.open()
            share = min(_LARGEST_SHARE, free_bytes(memory.root) // (2 * len(sets)))
        return Site(
            workdir=order.workdir,
            store=self._store,
            runner=outside.runner,
            memory=memory,
            disk=disk,
            share=share,
        )

    def _images(self, cpus: CpuSet) -> TrialImages:
        order, outside = self._order, self._outside
        build = order.build
        images = None
        if build:
            images = Images(
                runner=outside.runner,
                guards=outside.guards,
                reporter=outside.reporter,
                campaign=build.campaign,
                campaign_id="",
                root=build.root,
                owner=build.owner,
                workdir=self._store.own,
                worker_ip=build.worker_ip,
                cpus=cpus,
            )
        return TrialImages(
            outside.runner, outside.reporter, images=images, registry=outside.registry, pins=order.background.pins
        )
