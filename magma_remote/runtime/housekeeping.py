"""Keeps our own work off the CPUs of running trials, and clears what a dead run left."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from magma_remote.model.container import CPUS_LABEL, WORKDIR_LABEL
from magma_remote.runtime.cache import reap_others

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from magma_remote.model.cpus import CpuSet
    from magma_remote.model.layout import Workdir
    from magma_remote.ports import BuildReporter, Guards, Runner
    from magma_remote.runtime.cache import Cache


THIS_THREAD = 0


def stay_on(cpus: Collection[int], thread: int = THIS_THREAD) -> None:
    """Keep this thread, and those that it starts, on CPUs that no trial of another run is pinned to."""
    with suppress(OSError):  # the machine has taken them from us: the engine will say so with the first container
        os.sched_setaffinity(thread, cpus)


def all_threads() -> tuple[int, ...]:
    """The numbers of all threads of this process, for the functions here that take some."""
    return tuple(int(path.name) for path in Path("/proc/self/task").iterdir())


def keep_off(
    trial_cpus: CpuSet, allowed: frozenset[int], guards: Guards, *, threads: Iterable[int] = (THIS_THREAD,)
) -> bool:
    """Move threads, and those that they start, to CPUs that no trial of any run is pinned to; ours are `trial_cpus`.

    False where there are none: then we share the trials' CPUs, at idle priority, which beside containers of another
    cgroup counts little; what keeps our share small is that there is little to do.
    """
    others = allowed - set(trial_cpus)
    others -= guards.claimed(others)
    for thread in threads:
        if not others:
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))
        stay_on(others or trial_cpus, thread)
    return bool(others)


def reap(
    order_cpus: CpuSet, workdir: Workdir, cache: Cache, *, runner: Runner, guards: Guards, reporter: BuildReporter
) -> None:
    """Remove what earlier runs of this WORKDIR and dead runs of others left: containers, caches, half-made archives.

    A container whose CPUs nobody but us has claimed has no run: claims are held from before the first container to
    after the last, whoever the user and wherever the WORKDIR.
    """
    for owned in runner.owned(CPUS_LABEL):
        cpus = {int(cpu) for cpu in owned.labels[CPUS_LABEL].split(",") if cpu.isdecimal()} - set(order_cpus)
        if not guards.claimed(cpus):
            runner.remove(owned.id)
            owner = owned.labels.get(WORKDIR_LABEL)
            reporter.note(f"Removed container {owned.id[:12]}, left by a run in {owner} that died")
    for said in reap_others(guards.is_held, cache):
        reporter.note(said)
    shutil.rmtree(workdir.staging, ignore_errors=True)
    finished = set(cache.complete())
    for leftover in cache.leftovers():
        if leftover not in finished:
            shutil.rmtree(leftover, ignore_errors=True)
