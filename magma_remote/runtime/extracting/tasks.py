"""Which trials can be extracted, each with its arguments and its image, and why others cannot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from magma_remote.errors import WireError
from magma_remote.runtime.extracting.images import Chosen
from magma_remote.runtime.extracting.store import named
from magma_remote.runtime.extracting.trial import Task

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from magma_remote.model.campaign import Campaign
    from magma_remote.model.experiment import Trial
    from magma_remote.model.jobs import Job
    from magma_remote.model.layout import Workdir
    from magma_remote.model.tree import MagmaTree
    from magma_remote.runtime.extracting.images import TrialImages
    from magma_remote.runtime.extracting.known import Background, Known
    from magma_remote.runtime.images.images import Owner

_NO_ARGUMENTS = (
    "nobody wrote down with which arguments its program ran: name the campaign file with --campaign, and the Magma "
    "tree, if it is not the file's, with --magma"
)


@dataclass(frozen=True, kw_only=True)
class Build:
    """A tree to build missing images from, with the settings to build them for `owner`."""

    campaign: Campaign
    root: Path
    tree: MagmaTree
    owner: Owner
    worker_ip: str


def plan(
    trials: Sequence[Trial], workdir: Workdir, background: Background, build: Build | None, images: TrialImages
) -> tuple[list[Task], dict[Trial, str]]:
    """All images are there when this returns: no build runs beside a trial."""
    failed: dict[Trial, str] = {}
    known: dict[Trial, tuple[Job, Known]] = {}
    for trial in trials:
        facts = background.of(workdir, trial)
        job = facts.job or _job(trial, build)
        if isinstance(job, str):
            failed[trial] = job
        else:
            known[trial] = (job, facts)
    chosen = images.choose((trial[:2], facts) for trial, (_, facts) in known.items())
    tasks = []
    for trial, (job, facts) in known.items():
        image = chosen[trial[:2], facts.recipe, facts.image]
        if isinstance(image, Chosen):
            tasks.append(Task(trial=trial, job=job, chosen=image))
        else:
            failed[trial] = image
    return tasks, failed


def _job(trial: Trial, build: Build | None) -> Job | str:
    """With the arguments that tree and campaign have for it, or why it cannot be."""
    job = named(trial)
    try:
        job.check()
    except WireError:
        return "it has a name that no fuzzer, target or program of a campaign can have"
    if build is None:
        return _NO_ARGUMENTS
    target = build.tree.targets.get(job.target)
    if target is None or job.program not in target.programs:
        return f"the tree {build.root} has no program {job.target}/{job.program}: name the one that it ran with"
    fuzzargs = build.campaign.fuzzargs_for(job.fuzzer, job.target)
    return replace(job, args=target.programs[job.program], fuzzargs=fuzzargs)
