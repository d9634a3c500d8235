"""Reads all trials of a WORKDIR, in parallel, and names those that are not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magma_remote.model.experiment import Experiment, Missing, TrialResult
from magma_remote.model.layout import Workdir
from magma_remote.runtime.storage import storage_errors
from magma_remote.runtime.workdir.asked import asked_of_folder
from magma_remote.runtime.workdir.monitored import Reading
from magma_remote.runtime.workdir.parallel import each
from magma_remote.runtime.workdir.present import check_is_workdir, hold

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from magma_remote.model.asked import Asked


def read_experiment(
    workdir: Path,
    *,
    processes: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    asked: Asked | None = None,
) -> Experiment:
    """All trials below `workdir/ar` that were asked for; `on_progress` is told how many are read, and of how many.

    An entry of a trial that is known to be incomplete is not read: the trial is missing. `asked` says what is to be
    there; without it, manifest.json or what quickrun left does, and where nobody wrote it down, the gaps among the
    trials. `processes` is the number of CPUs that this process may use unless given.
    UsageError where `workdir` is no WORKDIR, StorageError where it cannot be read.
    """
    place = Workdir(workdir)
    with storage_errors("look at the disk"):
        check_is_workdir(place)
        wanted = asked or asked_of_folder(place)
        found = hold(place.ar, wanted)
        reading = Reading(workdir=place, timeout=wanted.timeout, poll=wanted.poll)
        read = each(reading.read, found.results, processes=processes, on_progress=on_progress)
    broken = (result for result in read if isinstance(result, Missing))
    return Experiment(
        trials=tuple(result for result in read if isinstance(result, TrialResult)),
        missing=tuple(sorted((*broken, *found.missing), key=lambda one: one.trial)),
        timeout=wanted.timeout,
        poll=wanted.poll,
        repeat=wanted.repeat,
        settings=wanted.settings,
        facts=wanted.facts,
        expected=None if wanted.trials is None else len(wanted.trials),
        source=wanted.source,
        problems=found.problems,
        unread=found.unread,
    )
