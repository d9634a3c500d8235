"""What only one run on a machine may have at a time, whoever its user is: CPUs, an image build, a workdir.

A child made by fork alone shares its parent's locks; a program started by exec does not.
"""

from __future__ import annotations

import os
import socket
import stat
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from magma_remote.adapters.lockfile import Holder, LockFile, patiently, release, storage_errors
from magma_remote.errors import BusyError, StoppedError, StorageError
from magma_remote.model.cpus import cpu_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_HOMES = (Path("/run/lock"), Path("/tmp"))  # noqa: S108 - one place for all users: TMPDIR may be a user's own
_FOLDER = _COMMAND = "magma-remote"
_SHARED_FOLDER = 0o1777
_SHARED_FILE = 0o666  # other users' runs lock the same files
_OWN_FILE = 0o644
_LOOK = 0.1  # seconds between two tries of a lock that is waited for


@contextmanager
def cpu_claims(cpus: Iterable[int], *, owner: str, base: Path | None = None) -> Iterator[None]:
    """Keep CPUs for this process; `owner` is what others are told, such as the working folder.

    BusyError where another process has some of them: it names these, their holder and the way out.
    """
    with _shared_folder(base) as (folder, path), ExitStack() as held:
        locks = {cpu: _shared(folder, path / f"cpu-{cpu}.lock") for cpu in sorted(set(cpus))}
        for cpu, lock in locks.items():  # ascending everywhere: of two that start at once, one gets all
            descriptor = lock.take_patiently(owner)
            if descriptor is None:
                held.close()
                raise BusyError(_who_has(locks, cpu))
            held.callback(release, descriptor)
        yield


def claimed(cpus: Iterable[int], *, base: Path | None = None) -> frozenset[int]:
    """Tell which of these CPUs another process keeps now."""
    with _shared_folder(base) as (folder, path):
        locks = {cpu: _shared(folder, path / f"cpu-{cpu}.lock") for cpu in cpus}
        return frozenset(cpu for cpu, lock in locks.items() if (who := _holder(lock)) and who.pid != os.getpid())


@contextmanager
def build_lock(
    owner: str,
    *,
    on_wait: Callable[[Holder], None] = lambda _holder: None,
    stop: Event | None = None,
    base: Path | None = None,
) -> Iterator[None]:
    """Build images one at a time on this machine: wait for the turn, keep it for the block.

    `on_wait` is called once, with the holder, where there is one to wait for. StoppedError once `stop` is
    set while this still waits.
    """
    stop = stop or Event()
    with _shared_folder(base) as (folder, path):
        lock = _shared(folder, path / "build.lock")
        with storage_errors(lock.path):
            descriptor = _wait(lock, owner, on_wait, stop)
        try:
            yield
        finally:
            release(descriptor)


@contextmanager
def workdir_lock(path: Path, *, task: str = "") -> Iterator[None]:
    """Keep a working folder for this run; StorageError where it is another's, with the holder's pid.

    `task` is the command of ours that needs it for a while, where it is neither a dispatcher nor a run: see `at_work`.
    """
    with ExitStack() as held:
        with storage_errors(path):
            lock = _workdir_file(held, path)
        owner = f"{_COMMAND} {task} on {socket.gethostname()}" if task else str(path.absolute())
        descriptor = lock.take_patiently(owner)
        if descriptor is None:
            holder = _holder(lock)
            raise StorageError(
                f"{path}: {holder or 'another process'} is running there; wait for it, or take another folder"
            )
        held.callback(release, descriptor)
        yield


def is_held(path: Path) -> bool:
    """Tell whether a live process has the working folder `path`; True where this user cannot look."""
    with ExitStack() as held:
        try:
            return _workdir_file(held, path).holder() is not None
        except (FileNotFoundError, NotADirectoryError):
            return False
        except (OSError, StorageError):
            return True


def at_work(path: Path) -> Holder | None:
    """Who has the working folder `path` for a task that has a name; None where nobody does, or nobody can tell."""
    with ExitStack() as held, suppress(OSError, StorageError):
        holder = _workdir_file(held, path).holder()
        return holder if holder and holder.owner.startswith(f"{_COMMAND} ") else None
    return None


def _workdir_file(held: ExitStack, path: Path) -> LockFile:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    held.callback(os.close, folder)
    return LockFile(folder=folder, path=path / ".lock", mode=_OWN_FILE)


def _wait(lock: LockFile, owner: str, on_wait: Callable[[Holder], None], stop: Event) -> int:
    told = False
    while (descriptor := patiently(lambda: lock.take(owner))) is None:
        holder = _holder(lock)
        if holder and not told:
            told = True
            on_wait(holder)
        if stop.wait(_LOOK):
            raise StoppedError(f"stopped while waiting for the image build of {holder or 'another process'}")
    return descriptor


def _shared(folder: int, path: Path) -> LockFile:
    return LockFile(folder=folder, path=path, mode=_SHARED_FILE)


def _holder(lock: LockFile) -> Holder | None:
    with suppress(OSError):
        return lock.holder()
    return None


def _who_has(locks: dict[int, LockFile], first: int) -> str:
    by_holder: dict[str, list[int]] = {}
    for cpu, lock in locks.items():
        if holder := _holder(lock):
            by_holder.setdefault(str(holder), []).append(cpu)
    who = "; ".join(f"{cpu_list(cpus)} by {holder}" for holder, cpus in by_holder.items())
    return (
        f"CPUs in use on this machine: {who or f'{first} by another process'}; "
        "wait until it ends, or choose others with WORKER_POOL or fewer with WORKERS"
    )


@contextmanager
def _shared_folder(base: Path | None) -> Iterator[tuple[int, Path]]:
    path = base or _default_folder()
    with storage_errors(path):
        folder = patiently(lambda: _open_shared(path))
    if folder is None:
        raise StorageError(f"{path}: not every user may lock files there; its owner can `chmod 1777` it")
    try:
        yield folder, path
    finally:
        os.close(folder)


def _open_shared(path: Path) -> int | None:
    """Open the folder, made where it is not there; None where its owner has not opened it to all (yet)."""
    with suppress(FileExistsError):
        path.mkdir(mode=_SHARED_FOLDER)
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    status = os.fstat(folder)
    if status.st_mode & _SHARED_FOLDER == _SHARED_FOLDER:
        return folder
    if status.st_uid == os.geteuid():
        os.fchmod(folder, _SHARED_FOLDER)
        return folder
    os.close(folder)
    return None


def _default_folder() -> Path:
    """Choose by what all users may do, not by what this one may: all have to come to the same folder."""
    for home in _HOMES:
        for path in (home / _FOLDER, home):
            with suppress(OSError):
                mode = path.lstat().st_mode
                if stat.S_ISDIR(mode) and mode & _SHARED_FOLDER == _SHARED_FOLDER:
                    return home / _FOLDER
    raise StorageError(f"no folder for locks: {' and '.join(map(str, _HOMES))} are not open to all users")
