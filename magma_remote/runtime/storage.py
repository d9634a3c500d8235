"""Whether a file system is full or closed, and what that means to a person."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from magma_remote.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_NO_RIGHTS = {errno.EACCES, errno.EPERM, errno.EROFS}
_FULL = 64 << 10


@contextmanager
def storage_errors(otherwise: str) -> Iterator[None]:
    """A place that is full or closed to this user is theirs to mend: a message that names it, whoever met it.

    `otherwise` is what to do where neither is the matter.
    """
    try:
        yield
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        advice = "make room or change its rights" if error.errno in _NO_ROOM | _NO_RIGHTS else otherwise
        raise StorageError(f"{place}{error.strerror or error}; {advice}") from error


def is_no_room(error: BaseException | None) -> bool:
    """Whether it is a full disk or quota that is behind an error."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__
    return error is not None and error.errno in _NO_ROOM


def is_full(path: Path) -> bool:
    """Whether the file system has no room for another canary dump."""
    return free_bytes(path) < _FULL


def free_bytes(path: Path) -> int:
    """What this user may still write on a file system."""
    room = os.statvfs(path)
    return room.f_bavail * room.f_frsize
