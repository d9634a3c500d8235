"""A flock'd file that says who holds it; the kernel drops the lock with its holder, SIGKILL included."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from magma_remote.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

_MAX_TEXT = 1000  # bytes that are read of a lock file: others may have written anything there
_GRACE = 0.3  # seconds in which another process's look, failing start or file creation passes
_PAUSE = 0.02  # seconds between two tries within the grace
# Never through a link, never stuck on a FIFO, never inherited by a program that we start
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who wrote itself into a lock file, and when; what the file does not say is None."""

    pid: int | None
    owner: str
    since: float | None = field(default=None, compare=False)

    def __str__(self) -> str:
        who = "a process without a name" if self.pid is None else f"process {self.pid}"
        return f"{who} ({self.owner})" if self.owner else who


@dataclass(frozen=True, kw_only=True)
class LockFile:
    """A lock file in an open folder (a descriptor); `mode` is what a new file gets, whatever the umask."""

    folder: int
    path: Path
    mode: int

    def take(self, owner: str) -> int | None:
        """Lock now and say so in the file; a descriptor to `release`, or None where another holds it.

        The file is neither truncated nor written before it is locked.
        """
        while True:
            descriptor = self._open()
            try:
                self._check(descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_named(descriptor):
                    _write(descriptor, f"{os.getpid()} {owner}\n")
                    return descriptor
            except BlockingIOError:
                os.close(descriptor)
                return None
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # someone removed the file meanwhile: a lock on it excludes nobody

    def take_patiently(self, owner: str) -> int | None:
        """As `take`, but wait out those who hold the lock only to look at it."""
        with storage_errors(self.path):
            return patiently(lambda: self.take(owner))

    def holder(self) -> Holder | None:
        """Who holds the lock at this moment; None where nobody does or there is no file.

        OSError where the file cannot be read or locked.
        """
        try:
            descriptor = os.open(self.path.name, os.O_RDONLY | _FLAGS, dir_fd=self.folder)
        except FileNotFoundError:
            return None
        try:
            self._check(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _parse(os.pread(descriptor, _MAX_TEXT, 0), since=os.fstat(descriptor).st_mtime)
        finally:
            os.close(descriptor)
        return None

    def _open(self) -> int:
        flags, name = os.O_RDWR | _FLAGS, self.path.name
        while True:
            # In two steps: with fs.protected_regular, O_CREAT refuses another user's file in a sticky folder
            with suppress(FileNotFoundError):
                return os.open(name, flags, dir_fd=self.folder)
            with suppress(FileExistsError):
                descriptor = os.open(name, flags | os.O_CREAT | os.O_EXCL, self.mode, dir_fd=self.folder)
                os.fchmod(descriptor, self.mode)
                return descriptor

    def _check(self, descriptor: int) -> None:
        """StorageError for anything but a plain file of one name: another may be worth keeping."""
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise StorageError(f"{self.path}: not a lock file of ours; find out whose it is, and remove it")

    def _is_named(self, descriptor: int) -> bool:
        with suppress(FileNotFoundError):
            named = os.stat(self.path.name, dir_fd=self.folder, follow_symlinks=False)
            return os.path.samestat(named, os.fstat(descriptor))
        return False


def release(descriptor: int) -> None:
    """Wipe the holder's name and drop the lock."""
    _write(descriptor, "")
    os.close(descriptor)


def patiently(attempt: Callable[[], T | None]) -> T | None:
    """Try until it gives something, for a short grace; None, or the PermissionError, that is left then.

    A file that another user makes is not yet ours to open for a moment, before its mode is set.
    """
    deadline = time.monotonic() + _GRACE
    while True:
        late = time.monotonic() > deadline
        try:
            result = attempt()
        except PermissionError:
            if late:
                raise
        else:
            if result is not None or late:
                return result
        time.sleep(_PAUSE)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an OSError about a lock into a StorageError that names its path."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            reason = "a symbolic link or no folder stands there; remove it"
        raise StorageError(f"{path}: cannot be locked: {reason}") from error


def _write(descriptor: int, text: str) -> None:
    with suppress(OSError):  # a full disk must not cost the lock: the name only tells who it is
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode("utf-8", "surrogateescape")[:_MAX_TEXT], 0)


def _parse(raw: bytes, *, since: float) -> Holder:
    text = "".join(char if char.isprintable() else "?" for char in raw.decode("utf-8", "replace").strip())
    pid, _, owner = text.partition(" ")
    if not (pid.isascii() and pid.isdigit()):
        return Holder(pid=None, owner=text, since=since if text else None)
    return Holder(pid=int(pid), owner=owner, since=since)
