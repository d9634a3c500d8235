"""Makes a folder that a manifest lists, and goes on with one that is half made; how files come is another's matter."""

from __future__ import annotations

import os
from contextlib import suppress
from stat import S_IMODE, S_ISDIR, S_ISLNK, S_ISREG
from typing import TYPE_CHECKING

from magma_remote.errors import CorruptError, WireError
from magma_remote.model.manifest import NAME, Entry, Kind, Manifest, from_wire, read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Bring = Callable[[Entry, Path], None]


def lay_out(data: bytes, destination: Path, bring: Bring) -> None:
    """Make `destination` hold what a manifest's JSON text lists; that becomes its manifest.json, as the last.

    `bring` completes a file that is missing or too short, its mode and time included; one that has its size is left
    alone. CorruptError where the text is no manifest, OSError where something cannot be made.
    """
    manifest = _read(data)
    destination.mkdir(parents=True, exist_ok=True)
    for entry in manifest.entries:
        path = destination / from_wire(entry.path)
        if entry.kind is Kind.DIR:
            _folder(path)
        elif entry.kind is Kind.LINK:
            _link(path, from_wire(entry.target))
        elif _is_wanted(path, entry):
            bring(entry, path)
    for entry in reversed(manifest.entries):
        if entry.kind is Kind.DIR:
            (destination / from_wire(entry.path)).chmod(entry.mode)
    (destination / NAME).unlink(missing_ok=True)
    (destination / NAME).write_bytes(data)


def _read(data: bytes) -> Manifest:
    try:
        return read(data)
    except WireError as error:
        raise CorruptError(str(error)) from error


def _folder(path: Path) -> None:
    """A folder that we may write into until all is there."""
    with suppress(FileNotFoundError):
        if not S_ISDIR(path.lstat().st_mode):
            path.unlink()
    path.mkdir(exist_ok=True)
    path.chmod(0o700)


def _link(path: Path, target: str) -> None:
    with suppress(FileNotFoundError):
        if S_ISLNK(path.lstat().st_mode) and os.readlink(path) == target:  # noqa: PTH115 - a Path would write it anew
            return
        path.unlink()
    path.symlink_to(target)


def _is_wanted(path: Path, entry: Entry) -> bool:
    """Whether a file is still to come; what stands in its way, or has a second name, is gone then."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return True
    if S_ISREG(status.st_mode) and status.st_size == entry.size:
        if status.st_nlink == 1 and S_IMODE(status.st_mode) != entry.mode:  # killed just before it had its mode
            path.chmod(entry.mode)
        return False
    if not S_ISREG(status.st_mode) or status.st_size > entry.size or status.st_nlink > 1:
        path.unlink()
    return True
