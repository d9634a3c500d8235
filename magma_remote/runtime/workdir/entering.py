"""One result's files enter WORKDIR by renames; each step may have been done by an earlier try, in any order.

`manifests/TRIAL.json` tells whose a trial is and comes first; its record in `trials/` comes last.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from magma_remote.errors import CorruptError
from magma_remote.model.document import show
from magma_remote.model.layout import trial_key
from magma_remote.model.manifest import NAME, Entry, Kind, Manifest, from_wire
from magma_remote.runtime.files import discard_tree, read_file, replace_file, sync_file_system, sync_folder
from magma_remote.runtime.storage import storage_errors
from magma_remote.runtime.workdir.manifest import compare

if TYPE_CHECKING:
    from pathlib import Path

    from magma_remote.model.entries import RunEntry
    from magma_remote.model.jobs import Job
    from magma_remote.model.layout import Workdir

MANIFESTS = "manifests"
EXECUTIONS = "executions"
VERSION = 1
_ENTRY_PARTS = 5  # ar/FUZZER/TARGET/PROGRAM/RUN
_FLAT = ("log", "poc", "trials")


def manifest_path(workdir: Workdir, job: Job) -> Path:
    """What the worker listed of a merged trial, its manifest.json byte for byte."""
    return workdir.root / MANIFESTS / f"{trial_key(job)}.json"


def execution_path(workdir: Workdir, job: Job) -> Path:
    """Who ran a merged trial: `{"version": 1, "run", "number", "attempt", "worker", "host", "manifest"}`."""
    return workdir.root / EXECUTIONS / f"{trial_key(job)}.json"


def is_entered(workdir: Workdir, run: RunEntry, job: Job) -> bool:
    """Whether this run's result is the trial's, and whole."""
    there = workdir.entry(job).is_dir() and workdir.record(job).is_file()
    return there and _claimant(workdir, job) == run.manifest


def give_up(workdir: Workdir, job: Job) -> str:
    """Make room for another result of a trial whose entry is gone; why not, where it is there. StorageError."""
    entry = workdir.entry(job)
    with storage_errors("look at the disk"):
        if not workdir.ar.is_dir():
            return f"{workdir.ar} is not there: bring it back, its other results are in it"
        try:
            entry.lstat()  # a disk that fails is no word that it is gone
        except FileNotFoundError:
            above = next(folder for folder in entry.parents if os.path.lexists(folder))
            if not above.is_dir():
                return f"{above} leads nowhere: bring back what was there, or remove it"
        else:
            return f"{entry} is there: move it out of WORKDIR first if it is damaged"
        # the record, which is entered last, goes first: what is left otherwise is a result that half entered
        whose = (execution_path(workdir, job), manifest_path(workdir, job))
        for path in (workdir.record(job), workdir.container_log(job), *whose):
            path.unlink(missing_ok=True)
        sync_file_system(workdir.root)
    return ""


def _claimant(workdir: Workdir, job: Job) -> str:
    """SHA-256 of the manifest that a trial has in WORKDIR; empty where it has none."""
    try:
        return hashlib.sha256(read_file(manifest_path(workdir, job))).hexdigest()
    except FileNotFoundError:
        return ""


def check_contents(manifest: Manifest) -> None:
    """CorruptError where it is not one trial's folder: one entry in `ar/`, files in log/, poc/ and trials/."""
    entries = [entry.path for entry in manifest.entries if _is_entry(entry.path) and entry.kind is Kind.DIR]
    for entry in manifest.entries:
        if not _is_known(entry, entries):
            raise CorruptError(f"a result holds {show(entry.path)}, which is no part of one")
    if len(entries) != 1:
        raise CorruptError(f"a result holds {len(entries)} trials in ar/, not one")
    manifest.below(entries[0])  # its links stay in it


def _is_entry(path: str) -> bool:
    return path.startswith("ar/") and path.count("/") == _ENTRY_PARTS - 1


def _is_known(entry: Entry, entries: list[str]) -> bool:
    if entry.kind is Kind.DIR:  # an empty one is no loss
        return True
    folder, _, name = entry.path.partition("/")
    flat = folder in _FLAT and name and "/" not in name and not name.startswith(".")
    return bool(flat and entry.kind is Kind.FILE) or any(entry.path.startswith(f"{path}/") for path in entries)


@dataclass(frozen=True, kw_only=True)
class Entering:
    """`folder` holds what is left of the result, on WORKDIR's file system."""

    folder: Path
    workdir: Workdir
    run: RunEntry
    job: Job
    manifest: Manifest

    def all(self) -> None:
        """Enter it, or the rest of it. CorruptError, and nothing touched, where the trial is another run's."""
        check_contents(self.manifest)
        self._check_names()
        self._claim()
        self._enter_trial()
        for entry in self._flat("log"):
            self._move(entry, self.workdir.logs)
        for entry in self._flat("poc"):
            self._move_poc(entry)
        self._tell_execution()
        for entry in self._flat("trials"):
            self._move(entry, self.workdir.records)

    def _flat(self, folder: str) -> list[Entry]:
        return [entry for entry in self.manifest.entries if entry.path.startswith(f"{folder}/")]

    @property
    def _trial(self) -> str:
        return self.workdir.entry(self.job).relative_to(self.workdir.root).as_posix()

    def _check_names(self) -> None:
        """CorruptError where the result is another job's, or would replace what another job's left."""
        job, here = self.job, {entry.path for entry in self.manifest.entries}
        if not {self._trial, f"trials/{trial_key(job)}.json"} <= here or len(self._flat("trials")) != 1:
            raise CorruptError(f"the result of run {self.run.run} is not that of {job}")
        pair = f"log/{job.fuzzer}_{job.target}_"
        own = self.workdir.container_log(job).relative_to(self.workdir.root).as_posix()
        foreign = [e.path for e in self._flat("log") if e.path != own and not e.path.startswith(f"{pair}build_")]
        foreign += [e.path for e in self._flat("poc") if not e.path.startswith(f"poc/{job.fuzzer}_{job.target}_")]
        if foreign:
            raise CorruptError(f"the result of run {self.run.run} holds {show(foreign[0])}, which is not {job}'s")

    def _claim(self) -> None:
        """Make the trial this run's. One that was never complete is given up for it: its record comes last."""
        claimant, entry = _claimant(self.workdir, self.job), self.workdir.entry(self.job)
        if claimant == self.run.manifest:
            return
        if self.workdir.record(self.job).exists() or (entry.exists() and not claimant):
            raise CorruptError(f"{entry} is there from another run: the result of run {self.run.run} is not merged")
        if entry.exists():
            stale = self.folder.with_name(f"{trial_key(self.job)}.gone")
            discard_tree(stale)
            entry.chmod(0o700)
            entry.rename(stale)
            discard_tree(stale)
        path = manifest_path(self.workdir, self.job)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, (self.folder / NAME).read_bytes())

    def _enter_trial(self) -> None:
        """One rename of the folder; one that was done already is compared with what it should hold."""
        source, entry = self.folder / self._trial, self.workdir.entry(self.job)
        mode = next(listed.mode for listed in self.manifest.entries if listed.path == self._trial)
        entry.parent.mkdir(parents=True, exist_ok=True)
        if entry.exists():
            entry.chmod(mode)
            compare(entry, self.manifest.below(self._trial))
        else:
            self._check_there(source)
            source.chmod(mode | 0o700)  # else its owner could not give it another parent
            source.rename(entry)
            entry.chmod(mode)
        sync_folder(entry.parent)

    def _move(self, entry: Entry, folder: Path) -> None:
        """A file of this run replaces an older one of its name."""
        self._rename(entry, folder / self._name(entry))

    def _move_poc(self, entry: Entry) -> None:
        """A name ends with the beginning of its content's hash: equal names are one case, but for very bad luck."""
        path = self.workdir.pocs / self._name(entry)
        if path.exists() and (self.folder / from_wire(entry.path)).exists() and _digest(path) != entry.sha256:
            path = path.with_name(f"{path.name}.{entry.sha256}")
        self._rename(entry, path)

    def _rename(self, entry: Entry, path: Path) -> None:
        source = self.folder / from_wire(entry.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if source.exists():
            source.replace(path)
        else:
            self._check_there(path)

    def _check_there(self, path: Path) -> None:
        if not path.exists():
            raise CorruptError(f"{path} is missing: the result of run {self.run.run} is not whole any more")

    def _name(self, entry: Entry) -> str:
        return from_wire(entry.path.partition("/")[2])

    def _tell_execution(self) -> None:
        path = execution_path(self.workdir, self.job)
        path.parent.mkdir(parents=True, exist_ok=True)
        run = self.run
        facts = {
            "version": VERSION,
            "run": run.run,
            "number": run.number,
            "attempt": run.attempt,
            "worker": run.worker,
            "host": run.place.host if run.place else "",
            "manifest": run.manifest,
        }
        replace_file(path, f"{json.dumps(facts, indent=1)}\n".encode())


def _digest(path: Path) -> str:
    return hashlib.sha256(read_file(path)).hexdigest()
