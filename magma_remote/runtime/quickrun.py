"""A whole campaign on this machine, without a queue: check, build, run every trial once, resume."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from magma_remote.errors import BuildError, StorageError, UsageError
from magma_remote.model.outcome import Reason
from magma_remote.model.result import Result
from magma_remote.runtime import preflight
from magma_remote.runtime.affinity import keep_off, stay_on
from magma_remote.runtime.files import read_json, write_json
from magma_remote.runtime.images.images import Images
from magma_remote.runtime.pool import Pool
from magma_remote.runtime.signals import on_stop, raise_stopped
from magma_remote.runtime.storage import storage_errors
from magma_remote.runtime.trial.archive import publish
from magma_remote.runtime.trial.cache import Cache, Shared, check_room
from magma_remote.runtime.trial.reap import reap
from magma_remote.runtime.trial.trial import Site
from magma_remote.runtime.workdir import state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from magma_remote.model.campaign import Campaign
    from magma_remote.model.cpus import Layout
    from magma_remote.model.image import Recipe
    from magma_remote.model.jobs import Job
    from magma_remote.model.layout import Workdir
    from magma_remote.ports import Guards, Reporter, Runner
    from magma_remote.runtime.images.images import Image, Owner

Pair = tuple[str, str]

_SHARING = "This process shares a CPU with a trial (it needs little); WORKERS one below all gives it one of its own"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to run and where: `root` is the Magma tree, `worker_ip` names this machine in build logs.

    `on_begin` is called before the first trial, once nothing can be refused any more.
    """

    campaign: Campaign
    jobs: tuple[Job, ...]
    root: Path
    layout: Layout
    workdir: Workdir
    owner: Owner
    worker_ip: str
    on_begin: Callable[[], None] = lambda: None


@dataclass(frozen=True, kw_only=True)
class Outside:
    """The world that a run needs."""

    runner: Runner
    guards: Guards
    reporter: Reporter


@storage_errors("take another --workdir")
def quickrun(order: Order, outside: Outside) -> tuple[Result, ...]:
    """Run all jobs that have no result yet; one Result for each job, in their order.

    MagmaRemoteError where it is refused before any trial starts; StoppedError on a signal until then.
    """
    cache = Cache.of(order.campaign, order.workdir)
    with ExitStack() as listening, ExitStack() as held:
        listening.enter_context(on_stop(raise_stopped))
        _refuse(order, outside, cache)
        order.workdir.root.mkdir(parents=True, exist_ok=True)
        held.enter_context(outside.guards.workdir_lock(order.workdir.root))
        held.enter_context(outside.guards.cpu_claims(order.layout.cpus, owner=str(order.workdir.root)))
        allowed = frozenset(os.sched_getaffinity(0))
        held.callback(stay_on, allowed)
        stay_on(order.layout.cpus)  # idle until the first trial: another run's trials feel nothing of what comes now
        site = _open(order, outside, cache)
        held.callback(cache.close)
        if not order.campaign.cache_on_disk:
            preflight.note_logout(outside.reporter)
        results, runnable = _prepare(order, outside, site)
        if runnable and not keep_off(order.layout.cpus, allowed, outside.guards):
            outside.reporter.note(_SHARING)
        pool = Pool(site, order.layout, outside.reporter, kept=sum(result.complete for result in results.values()))
        listening.enter_context(on_stop(pool.stop))  # until all is given back: a late signal must not break that
        results |= pool.run(runnable)
    return tuple(results[job] for job in order.jobs)


def _prepare(order: Order, outside: Outside, site: Site) -> tuple[dict[Job, Result], dict[Job, Image]]:
    """What is settled already, and the image of each job that is still to run."""
    stuck = _archive_kept(order, site.cache, outside.reporter)
    images = _images(order, outside, site)
    recipes = {(job.fuzzer, job.target): images.recipe(job.fuzzer, job.target) for job in order.jobs}
    done = {job: state.earlier(order.workdir, job) for job in state.done(order.workdir, order.jobs)}
    _refuse_stale(done.values(), {pair: recipe.digest for pair, recipe in recipes.items()})
    state.note_asked(order.workdir, order.jobs)
    order.on_begin()
    _note_unextracted(order, done.values(), outside.reporter)
    results = done | stuck
    pending = [job for job in order.jobs if job not in results]
    ready = _ensure(images, {pair: recipes[pair] for pair in dict.fromkeys(map(_pair, pending))}, outside.reporter)
    results |= _unbuilt(pending, ready, outside.reporter)
    return results, {job: image for job in pending if not isinstance(image := ready[_pair(job)], BuildError)}


def _refuse(order: Order, outside: Outside, cache: Cache) -> None:
    preflight.check_place(order.workdir, order.root)
    state.refuse_foreign(order.workdir)
    preflight.check_core_pattern()
    preflight.check_names(order.jobs)
    check_room(cache, order.campaign, len(order.layout.sets))
    outside.runner.check()


def _open(order: Order, outside: Outside, cache: Cache) -> Site:
    workdir = order.workdir
    campaign_id = state.open_campaign(workdir, order.campaign)
    reap(order.layout.cpus, workdir, cache, runner=outside.runner, guards=outside.guards, reporter=outside.reporter)
    for folder in workdir.folders:
        folder.mkdir(exist_ok=True)
    cache.open()
    return Site(campaign=order.campaign, campaign_id=campaign_id, workdir=workdir, cache=cache, runner=outside.runner)


def _archive_kept(order: Order, cache: Cache, reporter: Reporter) -> dict[Job, Result]:
    """Archive complete trials that an earlier run could not; those that this one cannot either, by their job."""
    stuck = {}
    for job in order.jobs:
        kept = Shared(cache.trial(job))
        if kept.complete.is_file():
            try:
                write_json(order.workdir.record(job), read_json(kept.complete))
                if not order.workdir.entry(job).exists():
                    publish(kept.path, order.workdir, job, plain=order.campaign.no_archive)
                    reporter.note(f"Archived {job}, which an earlier run had completed")
            except StorageError as error:
                message = f"{error}; it is complete, and its files are kept in {kept.path}: make room, and run again"
                stuck[job] = Result(job=job, reason=Reason.ARCHIVE, message=message)
                reporter.ended(stuck[job])
            else:
                kept.remove()
    return stuck


def _note_unextracted(order: Order, earlier: Iterable[Result], reporter: Reporter) -> None:
    count = sum(result.pocs is None for result in earlier)
    if order.campaign.poc_extract and count:
        command = f"`magma-remote extract {order.workdir.root}`"
        reporter.note(
            f"{count} trials that are there already were archived without their PoCs: {command} extracts them"
        )


def _images(order: Order, outside: Outside, site: Site) -> Images:
    return Images(
        runner=outside.runner,
        guards=outside.guards,
        reporter=outside.reporter,
        campaign=order.campaign,
        campaign_id=site.campaign_id,
        root=order.root,
        owner=order.owner,
        workdir=order.workdir,
        worker_ip=order.worker_ip,
        cpus=order.layout.cpus,
    )


def _pair(job: Job) -> Pair:
    return job.fuzzer, job.target


def _refuse_stale(earlier: Iterable[Result], digests: Mapping[Pair, str]) -> None:
    changed = sorted({_pair(result.job) for result in earlier if result.digest != digests[_pair(result.job)]})
    if changed:
        names = ", ".join("/".join(pair) for pair in changed)
        raise UsageError(
            f"the trials that are there already ran on other images of {names}: the tree, its base image or the build "
            "settings changed since; restore them, or take a new --workdir"
        )


def _ensure(images: Images, recipes: Mapping[Pair, Recipe], reporter: Reporter) -> dict[Pair, Image | BuildError]:
    """All images before any trial: no build runs beside one."""
    ready: dict[Pair, Image | BuildError] = {}
    for number, (pair, recipe) in enumerate(recipes.items(), start=1):
        reporter.building(recipe, number, len(recipes))
        try:
            ready[pair] = images.ensure(recipe)
        except BuildError as error:
            reporter.note(f"{error}; the trials of {'/'.join(pair)} fail, the others go on")
            ready[pair] = error
    return ready


def _unbuilt(pending: Iterable[Job], ready: Mapping[Pair, Image | BuildError], reporter: Reporter) -> dict[Job, Result]:
    results = {}
    for job in pending:
        if isinstance(error := ready[_pair(job)], BuildError):
            results[job] = Result(job=job, reason=Reason.IMAGE, message=str(error), tail=error.log_tail)
            reporter.ended(results[job])
    return results
