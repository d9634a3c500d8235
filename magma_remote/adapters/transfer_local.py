"""Results of a worker on this machine: the same files under another name, or a copy where that cannot be."""

from __future__ import annotations

import json
import os
import shutil
import socket
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING

from magma_remote.adapters.placing import lay_out
from magma_remote.adapters.ssh import check_place
from magma_remote.errors import CorruptError, MagmaRemoteError, TransferError
from magma_remote.model.manifest import NAME, from_wire

if TYPE_CHECKING:
    from magma_remote.model.manifest import Entry
    from magma_remote.model.messages import Place

_WORKER_FILE = "worker.json"
_MOST_BYTES = 64 * 1024  # of worker.json: it holds a name and a token
_CHUNK = 1 << 20
MARKS = "runs"
MARK = "*.json"
LARGEST_MARK = 1 << 20
"""Bytes: a mark has some hundred."""


class LocalTransfer:
    """A `ports.Transfer` for places of this machine."""

    def holds(self, place: Place) -> bool:
        """Whether the place is on this machine: its worker.json can be read here and holds its token."""
        return bool(place.token) and self.token(place.workdirs) == place.token

    def token(self, workdirs: str) -> str:
        """What WORKDIRS/worker.json holds, where it is a worker's on this machine; else empty."""
        try:
            with (Path(workdirs) / _WORKER_FILE).open("rb") as file:
                found = json.loads(file.read(_MOST_BYTES))
        except (OSError, ValueError, RecursionError):
            return ""
        token = found.get("worker") if isinstance(found, dict) else None
        return token if isinstance(token, str) else ""

    def marks(self, place: Place) -> dict[str, bytes]:
        """As the port says."""
        return read_marks(Path(place.workdirs))

    def fetch(self, place: Place, destination: Path) -> None:
        """As the port says. The worker may delete its own names of the files, and must not write into them."""
        check_place(place)
        try:
            copy_result(Path(place.folder), destination, link=True)
        except CorruptError:
            raise
        except (OSError, MagmaRemoteError) as error:
            said = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
            raise TransferError(
                f"{place.folder} was not fetched into {destination}: {said}; look with `ls -la {place.folder}`"
            ) from error


def read_marks(workdirs: Path) -> dict[str, bytes]:
    """`runs/RUN.json` by their names; TransferError where the folder is no worker's or cannot be read."""
    if not (workdirs / _WORKER_FILE).is_file():
        raise TransferError(f"{workdirs} holds no {_WORKER_FILE}: it is no worker's WORKDIRS; look with `ls`")
    found = {}
    try:
        for path in sorted((workdirs / MARKS).glob(MARK)):
            with suppress(FileNotFoundError):  # confirmed meanwhile
                data = _read(path) if path.is_file() and not path.is_symlink() else b""
                if 0 < len(data) <= LARGEST_MARK:
                    found[path.name] = data
    except OSError as error:
        raise TransferError(f"{error.filename} cannot be read: {error.strerror}") from error
    return found


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(LARGEST_MARK + 1)


def is_here(host: str) -> bool:
    """Whether a host's address is one of this machine's."""
    try:
        addresses = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    for family, kind, protocol, _, address in addresses:
        with suppress(OSError), socket.socket(family, kind, protocol) as probe:
            probe.bind(address)  # only one's own
            return True
    return False


def copy_result(source: Path, destination: Path, *, link: bool = False) -> None:
    """Copy a folder as its manifest.json lists it, or go on with that; with `link` a file may be the same file.

    OSError where it cannot be read or written, CorruptError where the manifest is none.
    """
    data = (source / NAME).read_bytes()

    def bring(entry: Entry, path: Path) -> None:
        origin = source / from_wire(entry.path)
        if not (link and _linked(origin, path)):
            _copy(origin, path, entry)

    lay_out(data, destination, bring)


def _linked(origin: Path, path: Path) -> bool:
    """Give a file of ours a second name; False where that cannot be: another file system, another owner."""
    if origin.lstat().st_uid != os.geteuid():
        return False  # its mode and its end would stay another's
    try:
        path.unlink(missing_ok=True)
        os.link(origin, path, follow_symlinks=False)
    except OSError:
        return False
    return True


def _copy(origin: Path, path: Path, entry: Entry) -> None:
    """Append what is missing."""
    reading = os.open(origin, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(reading, "rb") as old, path.open("ab") as new:
        status = os.fstat(reading)
        if not S_ISREG(status.st_mode):
            raise TransferError(f"{origin} is no file")
        old.seek(new.tell())
        shutil.copyfileobj(old, new, _CHUNK)
    path.chmod(entry.mode)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)
