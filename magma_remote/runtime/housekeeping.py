"""Keeps our own work off the CPUs of running trials, and clears what a dead run left."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from magma_remote.model.container import WORKDIR_LABEL
from magma_remote.runtime.cache import reap_others

if TYPE_CHECKING:
    from magma_remote.model.cpus import CpuSet
    from magma_remote.model.layout import Workdir
    from magma_remote.ports import Guards, Reporter, Runner
    from magma_remote.runtime.cache import Cache


def keep_off(trial_cpus: CpuSet) -> None:
    """Move this thread, and those that it starts, to other CPUs; where there are none, to idle priority.

    At idle priority the kernel runs us on a CPU only while its trial leaves it idle.
    """
    others = os.sched_getaffinity(0) - set(trial_cpus)
    if others:
        os.sched_setaffinity(0, others)
    else:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def reap(workdir: Workdir, cache: Cache, *, runner: Runner, guards: Guards, reporter: Reporter) -> None:
    """Remove containers, caches and half-made archives of this WORKDIR's earlier runs and of all dead ones."""
    for owned in runner.owned(WORKDIR_LABEL):
        owner = Path(owned.labels[WORKDIR_LABEL])
        if owner == workdir.root or not guards.is_held(owner):
            runner.remove(owned.id)
            reporter.note(f"Removed container {owned.id[:12]}, left by a run in {owner} that died")
    if reap_others(guards.is_held, cache):
        reporter.note("Removed caches of runs that died")
    shutil.rmtree(workdir.staging, ignore_errors=True)
    finished = set(cache.complete())
    for leftover in cache.leftovers():
        if leftover not in finished:
            shutil.rmtree(leftover, ignore_errors=True)
