"""Holds settings against this machine, so that what cannot work is refused before anything starts."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, TypeAlias

from magma_remote.model.cpus import cpu_list
from magma_remote.model.document import show
from magma_remote.model.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from magma_remote.model.settings import DispatcherSettings, WorkerSettings
    from magma_remote.model.settings_reader import Reading

    _AnyReading: TypeAlias = Reading[DispatcherSettings] | Reading[WorkerSettings]

LEDGER = "ledger.sqlite"
"""Name of the ledger in WORKDIR: where it is, a campaign goes on."""

WORKER_FILE = "worker.json"
FETCHED = "workdir_"
"""How names of fetched folders in TEMP_RESULTS begin."""

# what a WORKDIR has itself; TEMP_RESULTS is removed at the end and must be none of it
_WORKDIR_OWN = (
    *("ar", "log", "poc", "trials", "manifests", "executions", "merging", "staging", "cache", "extracted"),
    LEDGER,
)
_LOG = "dispatcher.jsonl"
_LEFT_AT_ONCE = {".lock", ".worker.json.new"}  # a worker that was killed before it made anything else


def check_dispatcher(reading: Reading[DispatcherSettings], *, magma: Path | None = None) -> None:
    """Add to the reading's findings what this machine has against them; `magma` is the campaign's tree, if known."""
    settings = reading.settings
    workdir = _if_read(reading, "WORKDIR", settings.workdir)
    temp = _if_read(reading, "TEMP_RESULTS", settings.temp_results)
    if workdir and temp:
        _check_apart(reading, workdir, temp)
    resumed = workdir is not None and (_is_there(workdir / LEDGER) or _is_begun(workdir))
    if workdir and not resumed:
        _check_absent(reading, "WORKDIR", workdir, "name another, or the WORKDIR of a campaign that is to go on")
    if temp and not resumed:
        _check_absent(reading, "TEMP_RESULTS", temp, "it is removed when all results are merged: name a new folder")
    if temp and resumed:
        _check_fetched(reading, temp)
    for key, place in (("WORKDIR", workdir), ("TEMP_RESULTS", temp)):
        if place:
            _check_makeable(reading, key, place)
            _check_outside(reading, key, place, magma)
    for key, file in (("SSH_KEY", settings.ssh_key), ("SSH_KNOWN_HOSTS", settings.ssh_known_hosts)):
        _check_file(reading, key, file)
    _check_rsync(reading, workdir, temp)


def check_worker(reading: Reading[WorkerSettings], *, online: Iterable[int] | None = None) -> None:
    """Add to the reading's findings what this machine has against them; `online` are its CPUs, if known."""
    settings = reading.settings
    workdirs = _if_read(reading, "WORKDIRS", settings.workdirs)
    if workdirs:
        _check_left(reading, workdirs, settings.name)
        _check_makeable(reading, "WORKDIRS", workdirs)
        _check_outside(reading, "WORKDIRS", workdirs, settings.magma)
    missing = set(settings.housekeeping_cpus) - set(settings.housekeeping_cpus if online is None else online)
    if missing:
        _add(reading, "HOUSEKEEPING_CPUS", f"this machine has no CPU {cpu_list(missing)}", cpu_list(online or ()))


def _if_read(reading: _AnyReading, key: str, path: Path) -> Path | None:
    return path if key in reading.lines else None


def _add(reading: _AnyReading, key: str, found: str, allowed: str = "", hint: str = "") -> None:
    reading.findings.add(key, reading.lines.get(key), found, allowed, hint)


def _check_apart(reading: Reading[DispatcherSettings], workdir: Path, temp: Path) -> None:
    """TEMP_RESULTS is removed when all is merged: nothing that is to stay may be in it.

    It may be in WORKDIR, beside what WORKDIR has itself: there it is on the same file system for sure, and merging
    is a rename.
    """
    if workdir == temp:
        _add(reading, "WORKDIR", f"the same folder as TEMP_RESULTS ({plain(str(workdir))})", "a folder of its own")
    elif workdir.is_relative_to(temp):
        found = f"{plain(str(workdir))} is inside TEMP_RESULTS ({plain(str(temp))}), which is removed at the end"
        _add(reading, "WORKDIR", found, "a folder outside of it")
    elif temp.is_relative_to(workdir) and temp.relative_to(workdir).parts[0] in _WORKDIR_OWN:
        found = f"{plain(str(temp))} is where WORKDIR keeps its own files"
        _add(reading, "TEMP_RESULTS", found, f"a folder outside of WORKDIR, or {workdir / 'fetched'}")


def _check_absent(reading: Reading[DispatcherSettings], key: str, place: Path, hint: str) -> None:
    names = _names(reading, key, place)
    if names is not None:
        _add(reading, key, f"{plain(str(place))} exists", "a folder that is not there yet", hint)


def _check_makeable(reading: _AnyReading, key: str, place: Path) -> None:
    there = _nearest(place)
    if there and there.is_dir() and not os.access(there, os.W_OK | os.X_OK):
        _add(reading, key, f"this user may not make or use it: {plain(str(there))} is not open to it", "another folder")


def _is_begun(workdir: Path) -> bool:
    """Whether nothing but a campaign's begin is there: a lock, logs of its images' builds and of a dispatcher.

    `images` leaves that, or a dispatcher that was killed before it had a ledger.
    """
    try:
        names = {path.name for path in workdir.iterdir()}
        logs = [path.name for path in (workdir / "log").iterdir()] if "log" in names else []
    except OSError:
        return False
    return ".lock" in names and names <= {".lock", "log", "staging"} and all(map(_is_early_log, logs))


def _is_early_log(name: str) -> bool:
    return name.startswith(_LOG) or ("_build_" in name and name.endswith(".log"))


def _check_fetched(reading: Reading[DispatcherSettings], temp: Path) -> None:
    """A campaign that goes on may have its TEMP_RESULTS, but no other folder must be taken for it."""
    foreign = sorted(name for name in _names(reading, "TEMP_RESULTS", temp) or () if not name.startswith(FETCHED))
    if foreign:
        found = f"{plain(str(temp))} holds {show(foreign[0])}, which is no fetched result"
        _add(reading, "TEMP_RESULTS", found, "the campaign's own TEMP_RESULTS, or a folder that is not there yet")


def _check_left(reading: Reading[WorkerSettings], workdirs: Path, name: str) -> None:
    """WORKDIRS is absent, or this worker's own from before."""
    names = _names(reading, "WORKDIRS", workdirs)
    if names is None or (names and names <= _LEFT_AT_ONCE):
        return
    allowed = "a folder that is not there yet, or this worker's own from before"
    if WORKER_FILE not in names:
        _add(reading, "WORKDIRS", f"{plain(str(workdirs))} exists and is no worker's", allowed)
        return
    owner = _owner(workdirs / WORKER_FILE)
    if owner is None:
        found = f"{plain(str(workdirs / WORKER_FILE))} cannot be read, or is of another version"
        _add(reading, "WORKDIRS", found, allowed)
    elif owner != name:
        found = f"{plain(str(workdirs))} is worker {show(owner)}'s, this is {show(name)}"
        _add(reading, "WORKDIRS", found, allowed, f"if it is the same worker, set NAME: {owner}")


def _owner(file: Path) -> str | None:
    """The name in a worker.json, None where it is none of ours."""
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError):
        return None
    ours = isinstance(found, dict) and found.get("version") == 1 and isinstance(found.get("worker"), str)
    name = found.get("name") if ours else None
    return name if isinstance(name, str) else None


def _check_outside(reading: _AnyReading, key: str, place: Path, magma: Path | None) -> None:
    """What is inside the Magma tree would become part of what images are made from."""
    if magma and place.is_relative_to(magma):
        _add(
            reading, key, f"{plain(str(place))} is inside the Magma tree {plain(str(magma))}", "a folder outside of it"
        )


def _check_file(reading: Reading[DispatcherSettings], key: str, file: Path | None) -> None:
    if file is None:
        return
    try:
        with file.open("rb"):
            return
    except (OSError, ValueError) as error:
        _add(reading, key, f"{plain(str(file))} cannot be read: {_said(error)}", "a file that this user can read")


def _check_rsync(reading: Reading[DispatcherSettings], workdir: Path | None, temp: Path | None) -> None:
    if shutil.which("rsync"):
        return
    install = "`apt-get install rsync`, here and on every worker"
    if "COPY_TYPE" in reading.lines and reading.settings.copy_type == "rsync":
        _add(reading, "COPY_TYPE", "rsync is not installed on this machine", "scp", f"or {install}")
    elif workdir and temp and _device(workdir) != _device(temp):
        found = "WORKDIR is on another file system: merging needs rsync, which is not installed on this machine"
        _add(reading, "TEMP_RESULTS", found, "a folder on WORKDIR's file system", f"or {install.partition(',')[0]}")


def _device(place: Path) -> int | None:
    """The file system that a folder is on, or will be; None where nobody can tell."""
    there = _nearest(place)
    try:
        return there.stat().st_dev if there else None
    except OSError:
        return None


def _nearest(place: Path) -> Path | None:
    """The folder itself or, where it is not there, the nearest of those that it is to be in."""
    return next((path for path in (place, *place.parents) if _is_there(path)), None)


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except (OSError, ValueError):
        return False
    return True


def _names(reading: _AnyReading, key: str, place: Path) -> frozenset[str] | None:
    """What is in a folder, None where there is none; what is no folder, or cannot be one, is noted and is none."""
    try:
        return frozenset(path.name for path in place.iterdir())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        _add(reading, key, f"{plain(str(place))} cannot be used: {_said(error)}", "a folder that this user can use")
        return None


def _said(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
