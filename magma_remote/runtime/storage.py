"""What it means to a person that a file system is full or closed."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from magma_remote.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_NO_RIGHTS = {errno.EACCES, errno.EPERM, errno.EROFS}


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
