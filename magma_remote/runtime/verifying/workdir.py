"""Checks a WORKDIR against all that was written down of it: the ledger, manifest.json, and the trials' manifests."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from magma_remote.model.layout import trial_key
from magma_remote.model.manifest import to_wire
from magma_remote.model.verdict import Fault, Verdict, Wrong
from magma_remote.runtime.files import standing_in
from magma_remote.runtime.storage import storage_errors
from magma_remote.runtime.verifying.expecting import expectation
from magma_remote.runtime.verifying.flat import Flat, FlatCheck, files_in
from magma_remote.runtime.verifying.trial import LINKED, Expected, TrialCheck, unreadable
from magma_remote.runtime.workdir.entering import EXECUTIONS, MANIFESTS
from magma_remote.runtime.workdir.experiment import read_experiment
from magma_remote.runtime.workdir.parallel import each
from magma_remote.runtime.workdir.present import check_is_workdir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from magma_remote.model.layout import Workdir
    from magma_remote.ports import Ledger
    from magma_remote.runtime.verifying.facts import Settings

_DEPTH = 4  # ar/FUZZER/TARGET/PROGRAM/RUN


def verify_workdir(
    workdir: Workdir,
    ledger: Ledger | None,
    *,
    settings: Settings | None = None,
    processes: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Verdict:
    """What is missing, altered or extra; `on_progress` is told how many trials are checked, and of how many.

    `settings` gives a campaign file's keys and values by its text, ConfigError where it is none.
    UsageError where it is no WORKDIR, StorageError where it cannot be read.
    """
    with storage_errors("look at the disk"):
        check_is_workdir(workdir)
        read = partial(read_experiment, processes=processes, on_progress=on_progress)
        known = expectation(workdir, ledger, settings, read=read)
        checked = each(TrialCheck(workdir), known.trials, processes=processes, on_progress=on_progress)
        flat = Flat(workdir, known, checked)
        found = each(FlatCheck(workdir), flat.tasks(), processes=processes)
        wrongs = [
            *known.wrongs,
            *(wrong for one in checked for wrong in one.wrongs),
            *flat.missing(),
            *(wrong for one in found if (wrong := one.wrong)),
            *(_extra(workdir, known.trials) if known.expected is not None else ()),
        ]
    spoilt = {wrong.path for wrong in wrongs}
    proven = sum(
        expected.done and not one.wrongs and not spoilt & {entry.path for entry in one.flat}
        for expected, one in zip(known.trials, checked, strict=True)
    )
    return Verdict(
        wrongs=tuple(sorted(wrongs)),
        expected=known.expected,
        proven=proven,
        files=sum(one.files for one in checked) + len(found),
        bytes=sum(one.bytes for one in checked) + sum(one.size for one in found),
        notes=(*known.notes, *flat.notes(), *_modes(sum(c.modes for c in checked) + sum(f.other_mode for f in found))),
    )


def _modes(count: int) -> Iterator[str]:
    if count:
        yield f"{count} files and folders have another mode than they were written with, as copies do"


def _extra(workdir: Workdir, trials: Iterable[Expected]) -> Iterator[Wrong]:
    """What stands in ar/, manifests/ and executions/ that is of no trial which is complete."""
    done = [expected.job for expected in trials if expected.done]
    yield from _unclaimed(workdir.ar, {workdir.entry(job) for job in done}, 1, "ar")
    keys = {f"{trial_key(job)}.json" for job in done}
    for folder in (MANIFESTS, EXECUTIONS):
        try:
            there = files_in(workdir.root / folder, folder)
        except OSError as error:
            yield unreadable(folder, error)
            continue
        for name in there:
            if name.rpartition("/")[2] not in keys:
                yield Wrong(fault=Fault.EXTRA, path=name, message="it is of no trial that is complete")


def _unclaimed(folder: Path, claimed: set[Path], depth: int, name: str) -> Iterator[Wrong]:
    try:
        paths = standing_in(folder)
    except OSError as error:
        yield unreadable(name, error)
        return
    if depth > 1 and not paths:
        yield Wrong(fault=Fault.EXTRA, path=name, message="it is empty")
    for path in paths:
        here = f"{name}/{to_wire(path.name)}"
        if depth < _DEPTH and path.is_dir() and not path.is_symlink():
            yield from _unclaimed(path, claimed, depth + 1, here)
        elif path.is_symlink() and any(path in one.parents for one in claimed):
            yield Wrong(fault=Fault.ALTERED, path=here, message=LINKED)
        elif path not in claimed:
            yield Wrong(fault=Fault.EXTRA, path=here, message="no trial that was asked for and is complete is there")
