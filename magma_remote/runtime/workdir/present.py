"""What stands in `ar/`, held against what was asked for: whose results are there, and who has none."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from magma_remote.errors import UsageError
from magma_remote.model.asked import Asked, Why, gaps, uneven
from magma_remote.model.experiment import Missing
from magma_remote.model.layout import TARBALL
from magma_remote.model.outcome import Reason
from magma_remote.runtime.files import standing_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from magma_remote.model.experiment import Trial
    from magma_remote.model.layout import Workdir

_DEPTH = 4  # ar/FUZZER/TARGET/PROGRAM/RUN
_MOST_RUNS = 100_000
_GAP = Why(reason="absent", message="it is not in ar/, and there are trials with a larger RUN")
_UNREAD = "it was not read, and is in no figure"
_STANDS = f"an entry of it stands in ar/ nevertheless: {_UNREAD}"

Parts = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Present:
    """`results` are the trials whose entry is that of a trial that was asked for; `missing` are those without one.

    `unread` are folders that could not be looked into, with why. `problems` are lines for people, on those too.
    """

    results: tuple[Trial, ...]
    missing: tuple[Missing, ...]
    unread: tuple[str, ...]
    problems: tuple[str, ...]


def check_is_workdir(workdir: Workdir) -> None:
    """UsageError where it is none."""
    root = workdir.root
    if not workdir.ar.is_dir():
        why = "it has no folder ar/" if root.is_dir() else "it is a file" if root.exists() else "it is not there"
        raise UsageError(f"{root} is no WORKDIR: {why}; name the folder that holds ar/ and log/")


def hold(ar: Path, asked: Asked) -> Present:
    """Look at all entries of `ar/`; OSError where it cannot be read at all."""
    found = _Found(ar)
    missing = sorted(found.missing(asked), key=lambda one: one.trial)
    return Present(
        results=tuple(trial for trial in found.entered if asked.counts(trial)),
        missing=tuple(missing),
        unread=tuple(found.unread.values()),
        problems=(*found.problems, *found.unread.values(), *found.unasked(asked)),
    )


class _Found:
    """Entries of `ar/` by fuzzer, target, program and run; what is there that can be none is in `problems`.

    `entered` have a folder of their own, `twins` are those whose folder is another's, with what is said of each.
    """

    def __init__(self, ar: Path) -> None:
        self._ar = ar
        self.problems: list[str] = []
        self.unread: dict[Parts, str] = {}
        present = sorted(self._trials())
        self.twins = dict(self._twins(present))
        self.entered = [trial for trial in present if trial not in self.twins]

    def _trials(self) -> Iterator[Trial]:
        for path, parts in self._walk(self._ar, ()):
            run = parts[-1]
            is_run = run.isascii() and run.isdigit() and str(int(run[:9])) == run and int(run) < _MOST_RUNS
            if len(parts) == _DEPTH and path.is_dir() and is_run:
                yield parts[0], parts[1], parts[2], int(run)
            else:
                self.problems.append(f"{path} is no trial and was not read: those are ar/FUZZER/TARGET/PROGRAM/RUN")

    def _walk(self, folder: Path, parts: Parts) -> Iterator[tuple[Path, Parts]]:
        """What stands at the depth of a trial, and files above it."""
        try:
            paths = standing_in(folder)
        except OSError as error:
            if not parts:
                raise
            self.unread[parts] = f"ar/{'/'.join(parts)} cannot be read: {error.strerror}"
            return
        for path in paths:
            here = (*parts, path.name)
            if path.is_dir() and len(here) < _DEPTH:
                yield from self._walk(path, here)
            else:
                yield path, here

    def _twins(self, present: Iterable[Trial]) -> Iterator[tuple[Trial, str]]:
        """Trials whose folder, or whose tarball, is that of another one, to which a link leads."""
        owners: dict[tuple[int, int], Trial] = {}
        for trial in sorted(present, key=self._is_linked):
            entry = self._entry(trial)
            tarball = entry / TARBALL
            status = (tarball if os.path.isfile(tarball) else entry).stat()  # noqa: PTH113 - Path's raises on a closed one
            owner = owners.setdefault((status.st_dev, status.st_ino), trial)
            if owner != trial:
                yield trial, f"its entry is that of {'/'.join(map(str, owner))} by a link: {_UNREAD}"

    def _is_linked(self, trial: Trial) -> bool:
        entry = self._entry(trial)
        paths = (entry / TARBALL, entry, *list(entry.parents)[: _DEPTH - 1])
        return any(map(os.path.islink, paths))

    def _entry(self, trial: Trial) -> Path:
        return self._ar.joinpath(*trial[:3], str(trial[3]))

    def missing(self, asked: Asked) -> Iterator[Missing]:
        """Trials without an entry that is their result, each with what is known of the reason."""
        there = set(self.entered)
        absent: Mapping[Trial, Why] = {
            trial: why for trial, why in asked.known.items() if trial not in there or not why.counts
        }
        if asked.trials is None:
            absent = {**dict.fromkeys(gaps((*there, *absent)), _GAP), **absent}
        for trial, why in absent.items():
            fuzzer, target, program, run = trial
            reason, message = self._why(trial, why, there=trial in there)
            yield Missing(fuzzer=fuzzer, target=target, program=program, run=run, reason=reason, message=message)

    def _why(self, trial: Trial, why: Why, *, there: bool) -> tuple[str, str]:
        unread = next((said for parts, said in self.unread.items() if trial[: len(parts)] == parts), "")
        if unread and why.counts:  # it may be there
            return Reason.CORRUPT.value, unread
        more = _STANDS if there else self.twins.get(trial, unread)
        return why.reason, "; ".join(text for text in (why.message, more) if text)

    def unasked(self, asked: Asked) -> Iterator[str]:
        """What is said of entries that nobody asked for; of a captain's, of fuzzers that have fewer than others."""
        for trial, said in self.twins.items():
            if trial not in asked.known:
                yield f"ar/{'/'.join(map(str, trial))}: {said}"
        if asked.trials is None:
            if fewer := uneven((*self.entered, *asked.failed)):
                yield fewer
            return
        for trial in self.entered:
            if trial not in asked.trials:
                yield f"ar/{'/'.join(map(str, trial))} is a trial that the campaign did not ask for: {_UNREAD}"
