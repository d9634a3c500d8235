"""Reads all trials of a WORKDIR, in parallel, and names those that are not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magma_remote.errors import UsageError
from magma_remote.model.asked import Asked, Why, gaps, uneven
from magma_remote.model.experiment import Experiment, Missing, TrialResult
from magma_remote.model.layout import Workdir
from magma_remote.runtime.storage import storage_errors
from magma_remote.runtime.workdir.asked import asked_of_folder
from magma_remote.runtime.workdir.monitored import Reading, missing
from magma_remote.runtime.workdir.parallel import each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from magma_remote.model.experiment import Trial

_DEPTH = 4  # ar/FUZZER/TARGET/PROGRAM/RUN
_MOST_RUNS = 100_000
_GAP = Why(reason="absent", message="it is not in ar/, and there are trials with a larger RUN")


def read_experiment(
    workdir: Path,
    *,
    processes: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    asked: Asked | None = None,
) -> Experiment:
    """All trials below `workdir/ar`; `on_progress` is told how many are read, and of how many.

    `asked` says what is to be there; without it, manifest.json or what quickrun left does, and where nobody wrote it
    down, the gaps among the trials. `processes` is the number of CPUs that this process may use unless given.
    UsageError where `workdir` is no WORKDIR, StorageError where it cannot be read.
    """
    place = Workdir(workdir)
    with storage_errors("look at the disk"):
        if not place.ar.is_dir():
            raise UsageError(f"{workdir} is no WORKDIR: it has no folder ar/; name the folder that holds ar/ and log/")
        wanted = asked or asked_of_folder(place)
        present, problems = present_trials(place.ar)
        reading = Reading(workdir=place, timeout=wanted.timeout, poll=wanted.poll)
        read = each(reading.read, present, processes=processes, on_progress=on_progress)
        trials = tuple(result for result in read if isinstance(result, TrialResult))
        broken = [result for result in read if isinstance(result, Missing)]
    return Experiment(
        trials=trials,
        missing=tuple(sorted((*broken, *_absent(wanted, present)), key=lambda one: one.trial)),
        timeout=wanted.timeout,
        poll=wanted.poll,
        repeat=wanted.repeat,
        settings=wanted.settings,
        facts=wanted.facts,
        expected=None if wanted.trials is None else len(wanted.trials),
        source=wanted.source,
        problems=(*problems, *_unasked(wanted, present)),
    )


def present_trials(ar: Path) -> tuple[tuple[Trial, ...], tuple[str, ...]]:
    """Entries of `ar/` by fuzzer, target, program and run, and what is there that can be none."""
    found: list[Trial] = []
    problems: list[str] = []
    for path, parts in _walk(ar, ()):
        run = parts[-1]
        is_run = run.isascii() and run.isdigit() and str(int(run[:9])) == run and int(run) < _MOST_RUNS
        if len(parts) == _DEPTH and path.is_dir() and is_run:
            found.append((parts[0], parts[1], parts[2], int(run)))
        else:
            problems.append(f"{path} is no trial and was not read: those are ar/FUZZER/TARGET/PROGRAM/RUN")
    return tuple(sorted(found)), tuple(problems)


def _walk(folder: Path, parts: tuple[str, ...]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """What stands at the depth of a trial, and files above it."""
    for path in sorted(folder.iterdir()):
        here = (*parts, path.name)
        if path.is_dir() and len(here) < _DEPTH:
            yield from _walk(path, here)
        else:
            yield path, here


def _absent(asked: Asked, present: Iterable[Trial]) -> Iterator[Missing]:
    """Trials without an entry, each with what is known of the reason."""
    there = set(present)
    known: Mapping[Trial, Why] = asked.trials if asked.trials is not None else asked.failed
    absent = {trial: why for trial, why in known.items() if trial not in there}
    if asked.trials is None:
        absent = {**dict.fromkeys(gaps((*there, *absent)), _GAP), **absent}
    return (missing(trial, why.reason, why.message) for trial, why in absent.items())


def _unasked(asked: Asked, present: Iterable[Trial]) -> Iterator[str]:
    if asked.trials is None:
        if fewer := uneven((*present, *asked.failed)):
            yield fewer
    else:
        for trial in present:
            if trial not in asked.trials:
                yield f"ar/{'/'.join(map(str, trial))} is a trial that the campaign did not ask for; it was read"
