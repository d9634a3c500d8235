"""WORKDIRS of a worker: whose it is, a folder for each run, and which of them hold a result.

`WORKDIRS/worker.json` names the worker, `workdir_CONFIGID_RUN/` is a run's WORKDIR in Magma's layout, `runs/RUN.json`
stands for a complete one from its last step on (its mark), `runs/confirmed/RUN.json` for one that the dispatcher has.
`log/` holds build logs and the container logs of runs that failed.
"""

from __future__ import annotations

import logging
import secrets
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from magma_remote.errors import StorageError, UsageError, WireError
from magma_remote.model import wire
from magma_remote.model.layout import Workdir, trial_name
from magma_remote.model.messages import Feedback, JobMessage, Place
from magma_remote.ports import Assignment, Kept, RunEnded
from magma_remote.runtime.files import read_json, remove_tree, write_json
from magma_remote.runtime.storage import storage_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from magma_remote.ports import Guards

VERSION = 1
_RUN_FOLDER = "workdir_"
_IDENTITY = "worker.json"
_MADE_FIRST = {".lock", f".{_IDENTITY}.new"}
_ANOTHER = "name another folder as WORKDIRS"

log = logging.getLogger(__name__)


@contextmanager
def open_workdirs(path: Path, name: str, guards: Guards) -> Iterator[str]:
    """Make WORKDIRS for the worker `name`, or take over what it left; the worker's id, made once for each WORKDIRS.

    The folder is this process's own for the block. UsageError where it is anything else's, StorageError where it
    cannot be used or a live worker has it.
    """
    with storage_errors(_ANOTHER):
        _refuse_foreign(path, name)
        path.mkdir(parents=True, exist_ok=True)
    with guards.workdir_lock(path):
        with storage_errors(_ANOTHER):
            _refuse_foreign(path, name)
            known = path / _IDENTITY
            if not known.exists():
                write_json(known, {"version": VERSION, "worker": secrets.token_hex(6), "name": name})
        yield str(read_json(known, _ANOTHER)["worker"])


def _refuse_foreign(path: Path, name: str) -> None:
    known = path / _IDENTITY
    if not known.exists():
        found = sorted({entry.name for entry in path.iterdir()} - _MADE_FIRST) if path.exists() else []
        if found:
            raise UsageError(
                f"WORKDIRS {path} is not empty ({found[0]}) and no worker's: name another folder, or empty it"
            )
        return
    facts = read_json(known, _ANOTHER)
    if facts.get("version") != VERSION or not isinstance(facts.get("worker"), str):
        raise UsageError(f"WORKDIRS: {known} is not of this version of the program: name another folder")
    if facts.get("name") != name:
        raise UsageError(
            f"WORKDIRS {path} is that of worker {facts.get('name')}, this one is {name}: name another folder, or set "
            f"NAME to {facts.get('name')}"
        )


class Folders:
    """What is below WORKDIRS; `place` is how others reach it, with no folder in it. Thread-safe for different runs."""

    def __init__(self, root: Path, place: Place) -> None:
        self.common = Workdir(root)
        self._root = root
        self._place = place
        self._runs = root / "runs"

    def open(self) -> None:
        """Make what all runs share; StorageError where that fails."""
        with storage_errors(_ANOTHER):
            for folder in (self.common.logs, self._runs / "confirmed"):
                folder.mkdir(parents=True, exist_ok=True)

    def workdir(self, config_id: str, run: str) -> Workdir:
        """The folder of one run."""
        return Workdir(self._root / f"{_RUN_FOLDER}{config_id}_{run}")

    def place(self, config_id: str, run: str) -> Place:
        """Where a run's result can be fetched."""
        return replace(self._place, folder=str(self.workdir(config_id, run).root))

    def mark(self, kept: Kept) -> None:
        """Note that a run's folder is a complete result: its last step. StorageError where that fails."""
        write_json(self._mark(kept.assignment.run), _mark_of(kept))

    def kept(self) -> dict[str, Kept]:
        """All complete results that nobody has confirmed, by run; one whose mark cannot be read is left alone."""
        found = {}
        for path in sorted(self._runs.glob("*.json")):
            try:
                kept = self._read(path)
            except (UsageError, WireError, TypeError, KeyError) as error:
                log.warning("%s cannot be read, its result is left where it is: %s", path, error)
                continue
            if self.workdir(kept.assignment.config_id, kept.assignment.run).root.is_dir():
                found[kept.assignment.run] = kept
        return found

    def drop(self, kept: Kept, *, keep: bool) -> None:
        """Forget a confirmed result; with `keep` its folder stays. Its mark goes first: half a folder is no result."""
        mark = self._mark(kept.assignment.run)
        with suppress(OSError):
            if keep:
                mark.rename(mark.parent / "confirmed" / mark.name)
            else:
                mark.unlink()

    def remove(self, config_id: str, run: str) -> None:
        """Remove a run's folder with all that is in it, as far as this user may."""
        with suppress(OSError):
            remove_tree(self.workdir(config_id, run).root)

    def save_log(self, assignment: Assignment) -> str:
        """Keep the container log of a run that failed, whose folder is about to go; its path, empty without one."""
        found = self.workdir(assignment.config_id, assignment.run).container_log(assignment.job)
        saved = self.common.logs / f"{trial_name(assignment.job)}_{assignment.run}_container.log"
        try:
            found.rename(saved)
        except OSError:
            return ""
        return str(saved)

    def reap(self) -> None:
        """Remove the folders of runs that a killed worker left incomplete."""
        marked = {path.stem for path in self._runs.glob("*.json")}
        for folder in sorted(self._root.glob(f"{_RUN_FOLDER}*_*/")):
            if folder.name.rpartition("_")[2] not in marked:
                log.info("removed %s, left incomplete by a worker that died", folder)
                with suppress(OSError):
                    remove_tree(folder)

    def _mark(self, run: str) -> Path:
        return self._runs / f"{run}.json"

    def _read(self, path: Path) -> Kept:
        facts = read_json(path)
        job, told = wire.build(JobMessage, facts["job"]), wire.build(Feedback, facts["feedback"])
        job.job.check()
        assignment = Assignment(
            config_id=told.config_id,
            run=told.run,
            number=told.number,
            attempt=told.attempt,
            job=job.job,
            cpus=tuple(facts["cpus"]),
        )
        ended = RunEnded(
            run=told.run,
            reason=None,
            message=str(facts["message"]),
            place=self.place(told.config_id, told.run),  # the settings of today
            manifest=told.manifest,
            started_at=told.started_at,
            reached=told.reached,
            triggered=told.triggered,
        )
        return Kept(assignment=assignment, ended=ended)


def _mark_of(kept: Kept) -> dict[str, Any]:
    """In the forms of the wire, which are read back with all their checks."""
    assignment, ended = kept.assignment, kept.ended
    if ended.place is None:
        raise StorageError(f"run {assignment.run} has no place")
    job = JobMessage(
        config_id=assignment.config_id, number=assignment.number, attempt=assignment.attempt, job=assignment.job
    )
    return {
        "version": VERSION,
        "job": wire.plain(job),
        "feedback": wire.plain(kept.feedback(ended.place.token)),
        "cpus": list(assignment.cpus),
        "message": ended.message,
    }
