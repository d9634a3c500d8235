"""Files and folders that survive a power cut, JSON that we wrote, and folders removed with whatever is in them."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from magma_remote.errors import StorageError, UsageError

if TYPE_CHECKING:
    from io import BufferedReader

# Of folders in folders: more than files may be open, or than a path may be long.
_TOO_DEEP = (errno.EMFILE, errno.ENAMETOOLONG)


def open_file(path: Path) -> BufferedReader:
    """A regular file to read, maybe behind a link. OSError for all else: who opens a pipe waits, maybe for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if not S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no file", str(path))
    return os.fdopen(descriptor, "rb")


def read_file(path: Path) -> bytes:
    """All of a regular file; OSError as `open_file`."""
    with open_file(path) as file:
        return file.read()


def standing_in(folder: Path) -> list[Path]:
    """What is in a folder, by its name; OSError where this user may not see that, or not reach it."""
    os.stat(f"{folder}/.")  # noqa: PTH116 - whether its names lead anywhere; a Path leaves the dot out
    return sorted(folder.iterdir())


def read_json(path: Path, otherwise: str = "take a new --workdir") -> dict[str, Any]:
    """A JSON object that we wrote; UsageError, with what to do, where it cannot be read."""
    try:
        value = json.loads(read_file(path))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} cannot be read ({reason}): {otherwise}") from error
    return value if isinstance(value, dict) else {}


def write_json(path: Path, value: Any) -> None:
    """Replace a file by a JSON text in one step; StorageError where that fails."""
    partial = path.with_name(f".{path.name}.new")
    try:
        with partial.open("w") as file:
            json.dump(value, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise StorageError(f"{path} could not be written: {error.strerror}") from error


def replace_file(path: Path, data: bytes) -> None:
    """Write a file in one step that survives a power cut."""
    partial = path.with_name(f".{path.name}.new")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(path: Path) -> None:
    """Make all that was written to a file system survive a power cut, whatever the number of files."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            raise OSError(ctypes.get_errno(), "cannot be written to the disk", str(path))
    finally:
        os.close(descriptor)


def remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it, folders that a fuzzer closed too; links are not followed.

    What cannot be removed is told (OSError) after all else is gone.
    """
    if not folder.is_dir() or folder.is_symlink():
        return
    try:
        _open_up(folder)
        for parent, names, _ in os.walk(folder):
            for name in names:
                _open_up(Path(parent, name))
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            shutil.rmtree(folder)
    except (OSError, RecursionError) as error:
        if isinstance(error, OSError) and error.errno not in _TOO_DEEP:
            raise
        _flatten(folder)
        shutil.rmtree(folder)


def discard_tree(folder: Path) -> None:
    """`remove_tree` of what nobody needs: whatever of it cannot be removed stays."""
    with suppress(OSError):
        remove_tree(folder)


def _flatten(folder: Path) -> None:
    """Have every folder that is anywhere in it directly in it: no path is long, and nothing recurses."""
    own = uuid4().hex
    waiting = [folder]
    count = 0
    while waiting:
        with os.scandir(waiting.pop()) as found:
            inner = [Path(one) for one in found if one.is_dir(follow_symlinks=False)]
        for path in inner:
            _open_up(path)
            with suppress(OSError):  # what cannot go is told at the end
                waiting.append(path.rename(folder / f"{own}.{count}"))
            count += 1


def _open_up(folder: Path) -> None:
    with suppress(OSError):  # another user's: whether it can go shows when it is to
        if not folder.is_symlink():
            folder.chmod(0o700)
