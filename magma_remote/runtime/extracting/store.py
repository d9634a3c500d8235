"""What an extraction keeps in a WORKDIR: a record of each trial in `extracted/`, and the index in `poc/`."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from magma_remote.model.jobs import Job
from magma_remote.model.layout import TARBALL, Workdir, trial_key
from magma_remote.model.pocs import INDEX, Extracted, index_of
from magma_remote.runtime.files import write_json
from magma_remote.runtime.workdir.provenance_trial import digest_of, read_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from magma_remote.model.experiment import Trial

EXTRACTED = "extracted"
VERSION = 1
_HALF_WRITTEN = re.compile(r"\..+_.+\.[0-9a-f]{8,64}")


def named(trial: Trial) -> Job:
    """A job that has the trial's name and nothing more."""
    fuzzer, target, program, run = trial
    return Job(repeat=run, fuzzer=fuzzer, target=target, program=program)


class Store:
    """The files of one WORKDIR that an extraction makes."""

    def __init__(self, workdir: Workdir) -> None:
        self._workdir = workdir
        self.own = Workdir(workdir.root / EXTRACTED)
        """Build logs and build files, apart from those that the trials brought."""

    def open(self) -> None:
        """Make the folders; remove PoCs that a killed run left half-written."""
        for folder in (self._workdir.pocs, self.own.logs, self.own.staging):
            folder.mkdir(parents=True, exist_ok=True)
        for path in self._workdir.pocs.iterdir():
            if _HALF_WRITTEN.fullmatch(path.name):
                path.unlink()

    def close(self) -> None:
        """Leave no empty folders behind."""
        for folder in (self.own.staging, self.own.logs, self.own.root):
            with suppress(OSError):
                folder.rmdir()

    def source(self, trial: Trial) -> dict[str, int]:
        """What tells an entry of `ar/` from another one that takes its place later."""
        entry = self._workdir.entry(named(trial))
        tarball = entry / TARBALL
        status = (tarball if tarball.is_file() else entry).stat()
        return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}

    def save(self, extracted: Extracted, source: Mapping[str, int]) -> None:
        """Note that a trial is done; StorageError where that fails."""
        record = {"version": VERSION, "source": dict(source), **extracted.to_record()}
        write_json(self._path(extracted.trial), record)

    def kept(self, trials: Iterable[Trial]) -> dict[Trial, Extracted]:
        """Trials that were done before, are what they were, and have all their PoCs in `poc/` as they were."""
        found = {trial: one for trial in trials if (one := self._read(trial))}
        pocs = {(poc.file, poc.sha256) for one in found.values() for poc in one.pocs}
        there = {poc for poc in pocs if self._is_there(*poc)}  # equal cases of many trials are one file
        return {trial: one for trial, one in found.items() if {(poc.file, poc.sha256) for poc in one.pocs} <= there}

    def _is_there(self, file: str, sha256: str) -> bool:
        try:
            return digest_of(self._workdir.pocs / file) == sha256
        except OSError:
            return False

    def write_index(self, extracted: Iterable[Extracted], failed: Mapping[Trial, str]) -> Path:
        """Replace the index; StorageError where that fails."""
        every = list(extracted)
        known = {poc.file for one in every for poc in one.pocs} | {INDEX}
        names = (path.name for path in self._workdir.pocs.iterdir() if not path.name.startswith("."))
        path = self._workdir.pocs / INDEX
        write_json(path, index_of(every, failed, (name for name in names if name not in known)))
        return path

    def _path(self, trial: Trial) -> Path:
        return self.own.root / f"{trial_key(named(trial))}.json"

    def _read(self, trial: Trial) -> Extracted | None:
        try:
            record = read_object(self._path(trial))
            if record.get("version") != VERSION or record["source"] != self.source(trial):
                return None
            found = Extracted.from_record(record)
        except (OSError, LookupError, TypeError, ValueError):
            return None
        return found if found.trial == trial else None
