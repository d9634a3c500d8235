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
_UNREAD = "it was not read, and is in no figure"
_STANDS = f"an entry of it stands in ar/ nevertheless: {_UNREAD}"


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
        if not place.ar.is_dir():
            raise UsageError(f"{workdir} is no WORKDIR: it has no folder ar/; name the folder that holds ar/ and log/")
        wanted = asked or asked_of_folder(place)
        present, problems = present_trials(place.ar)
        twins = _twins(place.ar, present)
        entered = [trial for trial in present if trial not in twins]
        counted = [trial for trial in entered if wanted.counts(trial)]
        reading = Reading(workdir=place, timeout=wanted.timeout, poll=wanted.poll)
        read = each(reading.read, counted, processes=processes, on_progress=on_progress)
    broken = [result for result in read if isinstance(result, Missing)]
    return Experiment(
        trials=tuple(result for result in read if isinstance(result, TrialResult)),
        missing=tuple(sorted((*broken, *_absent(wanted, entered, twins)), key=lambda one: one.trial)),
        timeout=wanted.timeout,
        poll=wanted.poll,
        repeat=wanted.repeat,
        settings=wanted.settings,
        facts=wanted.facts,
        expected=None if wanted.trials is None else len(wanted.trials),
        source=wanted.source,
        problems=(*problems, *_unasked(wanted, entered, twins)),
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


def _twins(ar: Path, present: Iterable[Trial]) -> dict[Trial, str]:
    """Trials whose entry is the folder of another one, to which a link leads, and what is said of each."""
    owners: dict[tuple[int, int], Trial] = {}
    twins = {}
    for trial in sorted(present, key=lambda trial: _is_linked(ar, trial)):
        status = _entry(ar, trial).stat()
        owner = owners.setdefault((status.st_dev, status.st_ino), trial)
        if owner != trial:
            twins[trial] = f"its entry is that of {'/'.join(map(str, owner))} by a link: {_UNREAD}"
    return twins


def _is_linked(ar: Path, trial: Trial) -> bool:
    entry = _entry(ar, trial)
    return any(path.is_symlink() for path in (entry, *list(entry.parents)[: _DEPTH - 1]))


def _entry(ar: Path, trial: Trial) -> Path:
    return ar.joinpath(*trial[:3], str(trial[3]))


def _absent(asked: Asked, entered: Iterable[Trial], twins: Mapping[Trial, str]) -> Iterator[Missing]:
    """Trials without an entry that is their result, each with what is known of the reason."""
    there = set(entered)
    absent = {trial: why for trial, why in asked.known.items() if trial not in there or not why.counts}
    if asked.trials is None:
        absent = {**dict.fromkeys(gaps((*there, *absent)), _GAP), **absent}
    for trial, why in absent.items():
        said = [_STANDS] if trial in there else [twins[trial]] if trial in twins else []
        yield missing(trial, why.reason, "; ".join([why.message, *said] if why.message else said))


def _unasked(asked: Asked, entered: Iterable[Trial], twins: Mapping[Trial, str]) -> Iterator[str]:
    for trial, said in twins.items():
        if trial not in asked.known:
            yield f"ar/{'/'.join(map(str, trial))}: {said}"
    if asked.trials is None:
        if fewer := uneven((*entered, *asked.failed)):
            yield fewer
        return
    for trial in entered:
        if trial not in asked.trials:
            yield f"ar/{'/'.join(map(str, trial))} is a trial that the campaign did not ask for: {_UNREAD}"
