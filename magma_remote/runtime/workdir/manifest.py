"""Lists a result's folder, and tells whether a folder is what a manifest lists; links are read, never followed."""

from __future__ import annotations

import hashlib
import os
from contextlib import ExitStack, contextmanager
from stat import S_IMODE, S_ISDIR, S_ISLNK, S_ISREG
from typing import TYPE_CHECKING

from magma_remote.errors import CorruptError, WireError
from magma_remote.model.document import show
from magma_remote.model.manifest import MODE_BITS, NAME, Entry, Kind, Manifest, read, to_wire, write
from magma_remote.runtime.files import replace_file
from magma_remote.runtime.storage import storage_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_PARTIAL = f".{NAME}.new"
_NAMED = 3  # so many paths of each kind of difference are told
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_READ_AGAIN = "look at the disk and the kernel's log (`dmesg`)"


def write_manifest(folder: Path) -> str:
    """List a complete folder in its manifest.json; the SHA-256 of that file.

    Sockets, pipes and devices are left out, as by the archive. CorruptError for a link that leaves the folder,
    StorageError where it cannot be read or written.
    """
    with storage_errors(_READ_AGAIN):
        (folder / _PARTIAL).unlink(missing_ok=True)
        data = write(Manifest.of(scan(folder, hashed=True))).encode()
        replace_file(folder / NAME, data)
    return hashlib.sha256(data).hexdigest()


def load(folder: Path, expected_sha256: str) -> Manifest:
    """A folder's manifest; CorruptError where it is not there or is another one."""
    try:
        with _opened(folder / NAME) as descriptor, open(descriptor, "rb", closefd=False) as file:
            data = file.read()
    except FileNotFoundError as error:
        raise CorruptError(f"{folder} holds no {NAME}: it is no complete result") from error
    if hashlib.sha256(data).hexdigest() != expected_sha256:
        raise CorruptError(f"{folder / NAME} is not the one that the worker told of")
    try:
        return read(data)
    except WireError as error:
        raise CorruptError(f"{folder / NAME}: {error}") from error


def verify(folder: Path, expected_sha256: str) -> Manifest:
    """The folder's manifest, where the folder holds just that, byte for byte.

    CorruptError names what is missing, altered or extra; StorageError where the folder cannot be read.
    """
    with storage_errors(_READ_AGAIN):
        manifest = load(folder, expected_sha256)
        compare(folder, manifest)
    return manifest


def compare(folder: Path, manifest: Manifest) -> None:
    """CorruptError with what differs; names, sizes and modes first, since contents take long."""
    for hashed in (False, True):
        differences = list(_differences(manifest, scan(folder, hashed=hashed), hashed=hashed))
        if differences:
            raise CorruptError(f"{folder} is not what its manifest lists: {'; '.join(differences)}")


def _differences(manifest: Manifest, found: Iterable[Entry], *, hashed: bool) -> Iterator[str]:
    here = {entry.path: entry for entry in found}
    listed = {entry.path: entry for entry in manifest.entries}
    kinds = {
        "missing": [path for path in listed if path not in here],
        "altered": [path for path, entry in listed.items() if path in here and not _same(here[path], entry, hashed)],
        "extra": [path for path in here if path not in listed],
    }
    yield from (f"{word}: {_some(paths)}" for word, paths in kinds.items() if paths)


def _same(found: Entry, listed: Entry, hashed: bool) -> bool:  # noqa: FBT001 - private, one call
    plain = (found.kind, found.mode, found.size, found.target) == (listed.kind, listed.mode, listed.size, listed.target)
    return plain and (not hashed or found.sha256 == listed.sha256)


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(show(path) for path in paths[:_NAMED]) + more


def scan(folder: Path, *, hashed: bool) -> Iterator[Entry]:
    """What stands in a folder, its own manifest left out; `sha256` only if `hashed`."""
    yield from (entry for entry in _scan(folder, "", hashed=hashed) if entry.path != NAME)


def scan_below(folder: Path, name: str, odd: dict[str, OSError | None] | None = None) -> Iterator[Entry]:
    """What stands in a folder of a result, with its digests, by paths that begin with `name`.

    With `odd` sockets, pipes and devices are added to it, and what cannot be read, with the error; without, that is
    raised.
    """
    return _scan(folder, f"{name}/", hashed=True, odd=odd)


def scan_entry(path: Path, name: str) -> Entry | None:
    """One thing with its digest, by the path `name`; None where it has no content: a socket, a pipe, a device."""
    return _entry(path, name, hashed=True)


def _scan(folder: Path, prefix: str, *, hashed: bool, odd: dict[str, OSError | None] | None = None) -> Iterator[Entry]:
    """Folders in folders, however deep a fuzzer made them; those that it closed are open until all is looked at."""
    with ExitStack() as opened:
        left = [(folder, prefix, _names(folder, opened))]
        while left:
            above, start, names = left[-1]
            name = next(names, None)
            if name is None:
                left.pop()
                continue
            path, listed = above / name, start + to_wire(name)
            try:
                entry = _entry(path, listed, hashed=hashed)
                if entry and entry.kind is Kind.DIR:
                    left.append((path, f"{listed}/", _names(path, opened)))
            except OSError as error:
                if odd is None:
                    raise
                odd[listed] = error
                continue
            if entry:
                yield entry
            elif odd is not None:
                odd[listed] = None


def _names(folder: Path, opened: ExitStack) -> Iterator[str]:
    """What is in it, whoever closed it: its mode is as before when `opened` ends."""
    mode = folder.lstat().st_mode
    if not S_ISLNK(mode) and not os.access(folder, os.R_OK | os.X_OK, follow_symlinks=False):
        folder.chmod(S_IMODE(mode) | 0o700)
        opened.callback(folder.chmod, S_IMODE(mode))
    descriptor = os.open(folder, _FLAGS | os.O_DIRECTORY)
    try:
        return iter(os.listdir(descriptor))  # noqa: PTH208 - the folder that was opened, whatever its name is now
    finally:
        os.close(descriptor)


def _entry(path: Path, name: str, *, hashed: bool) -> Entry | None:
    """None for what has no content: a socket, a pipe, a device."""
    status = path.lstat()
    mode = status.st_mode & MODE_BITS
    if S_ISLNK(status.st_mode):
        target = os.readlink(path)  # noqa: PTH115 - a Path would write it anew
        return Entry(path=name, kind=Kind.LINK, target=to_wire(target))
    if S_ISDIR(status.st_mode):
        return Entry(path=name, kind=Kind.DIR, mode=mode)
    if not S_ISREG(status.st_mode):
        return None
    return Entry(path=name, kind=Kind.FILE, mode=mode, size=status.st_size, sha256=_digest(path) if hashed else "")


def _digest(path: Path) -> str:
    with _opened(path) as descriptor, open(descriptor, "rb", closefd=False) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A descriptor of a file of ours, for as long even where its fuzzer closed it; its mode stays."""
    mode = path.lstat().st_mode
    closed = not S_ISLNK(mode) and not os.access(path, os.R_OK, follow_symlinks=False)
    if closed:
        path.chmod(S_IMODE(mode) | 0o400)
    try:
        descriptor = os.open(path, _FLAGS)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    finally:
        if closed:
            path.chmod(S_IMODE(mode))
