"""Clears what a dead run left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magma_remote.model.container import CPUS_LABEL, WORKDIR_LABEL
from magma_remote.runtime.files import discard_tree
from magma_remote.runtime.trial.cache import reap_others

if TYPE_CHECKING:
    from magma_remote.model.cpus import CpuSet
    from magma_remote.model.layout import Workdir
    from magma_remote.ports import BuildReporter, Guards, Runner
    from magma_remote.runtime.trial.cache import Cache


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
    discard_tree(workdir.staging)
    finished = set(cache.complete())
    for leftover in cache.leftovers():
        if leftover not in finished:
            discard_tree(leftover)
