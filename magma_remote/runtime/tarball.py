"""Reads Magma's dumps out of a `ball.tar` in one pass, header by header: nothing is unpacked, contents are skipped.

A campaign leaves millions of dumps of half a kilobyte each; the standard library's tarfile takes ten times as long
for one as there is to do. Formats as in POSIX.1-1988 and 2001 and GNU tar's: what `tar` and tarfile write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from magma_remote.errors import CorruptError
from magma_remote.model.dumps import LARGEST, Dumps, is_stamp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK = 512
_BUFFER = 1 << 16
_ENDS = b"\0 "
_FILES = b"0\x007"
_FOLDER = b"5"
_NO_DATA = b"123456"  # links, devices, folders, pipes: whatever their size says
_LONG_NAME, _LONG_LINK, _PAX, _PAX_ALL, _SPARSE = b"L", b"K", b"x", b"g", b"S"
_LONGEST = 1 << 20  # of a name or of pax records
_LEAF = b"monitor"


class Member(NamedTuple):
    """`name` as it stands in the tarball, without a closing `/`; `size` bytes of a file's content can be read now."""

    name: bytes
    size: int
    is_file: bool
    is_folder: bool


def members(file: BinaryIO, length: int) -> Iterator[Member]:
    """Each member of a tarball of `length` bytes; a file's content is next in `file` while it is the current one.

    CorruptError where the tarball is cut or damaged.
    """
    at = 0
    name, size_there = b"", None
    while True:
        file.seek(at)
        header = file.read(_BLOCK)
        if len(header) < _BLOCK:
            raise CorruptError(f"it is cut after {length} bytes")
        if not header[0] and header.count(0) == _BLOCK:
            return
        kind, size = header[156:157], _size(header, at)
        if header[257:262] != b"ustar":
            _check_sum(header, at)
        start = at + _BLOCK
        if kind in {_LONG_NAME, _LONG_LINK, _PAX, _PAX_ALL}:
            data = _read(file, size, at)
            if kind == _LONG_NAME:
                name = data.rstrip(b"\0")
            elif kind == _PAX:
                records = dict(_records(data, at))
                name = records.get(b"path", name)
                size_there = _decimal(records[b"size"], at) if b"size" in records else None
            at = start + _padded(size)
            continue
        size = size if size_there is None else size_there
        if kind == _SPARSE:
            start = _after_extensions(file, header, start)
        at = start + (0 if kind in _NO_DATA else _padded(size))
        if at > length:
            raise CorruptError(f"it is cut after {length} bytes")
        yield Member((name or _name(header)).rstrip(b"/"), size, kind in _FILES, kind == _FOLDER)
        name, size_there = b"", None


def _padded(size: int) -> int:
    return (size + _BLOCK - 1) // _BLOCK * _BLOCK


def _read(file: BinaryIO, size: int, at: int) -> bytes:
    if size > _LONGEST:
        raise _damaged(at)
    return file.read(size)


def _name(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    if header[257:263] == b"ustar\0" and header[345]:
        return header[345:500].partition(b"\0")[0] + b"/" + name
    return name


def _number(raw: bytes, at: int) -> int:
    """Octal digits, or GNU's binary form for what they cannot hold."""
    if raw[0] & 0x80:
        return int.from_bytes(raw[1:], "big")
    try:
        return int(raw.partition(b"\0")[0].strip() or b"0", 8)
    except ValueError as error:
        raise _damaged(at) from error


def _decimal(raw: bytes, at: int) -> int:
    if not raw.isdigit():
        raise _damaged(at)
    return int(raw)


def _size(header: bytes, at: int) -> int:
    """The usual form first: eleven octal digits and an end."""
    try:
        return int(header[124:135], 8) if header[135] in _ENDS else _number(header[124:136], at)
    except ValueError:
        return _number(header[124:136], at)


def _check_sum(header: bytes, at: int) -> None:
    """CorruptError where no header stands here; for those alone that do not say so by a word, since it takes long."""
    total = sum(header[:148]) + 8 * ord(" ") + sum(header[156:])
    if _number(header[148:156], at) != total:
        raise _damaged(at)


def _damaged(at: int) -> CorruptError:
    return CorruptError(f"it is damaged at byte {at}")


def _records(data: bytes, at: int) -> Iterator[tuple[bytes, bytes]]:
    """Pax records: `LENGTH KEY=VALUE` and a line feed."""
    while data:
        length = _decimal(data.partition(b" ")[0], at)
        key, equals, value = data[:length].partition(b" ")[2].partition(b"=")
        if not equals or not length:
            raise _damaged(at)
        yield key, value[:-1]
        data = data[length:]


def _after_extensions(file: BinaryIO, header: bytes, start: int) -> int:
    """Where the content of a sparse file of GNU tar's old format begins."""
    more = header[482]
    while more:
        block = file.read(_BLOCK)
        start += _BLOCK
        more = block[504] if len(block) == _BLOCK else 0
    return start


class _Folders:
    """Dumps by the folder named `monitor` that they are in; only those nearest to the root are kept."""

    def __init__(self) -> None:
        self._depth = float("inf")
        self._kept: dict[bytes, Dumps] = {}
        self._last: tuple[bytes, Dumps | None] = (b"", None)

    def of(self, folder: bytes) -> Dumps | None:
        """Those of a folder, None where it is no `monitor` or one further from the root."""
        if folder != self._last[0]:
            self._last = (folder, self._find(folder))
        return self._last[1]

    def _find(self, folder: bytes) -> Dumps | None:
        parts = [part for part in folder.split(b"/") if part not in {b"", b"."}]
        if not parts or parts[-1] != _LEAF or len(parts) > self._depth:
            return None
        if len(parts) < self._depth:
            self._depth, self._kept = len(parts), {}
        return self._kept.setdefault(b"/".join(parts), Dumps())

    def result(self) -> tuple[Dumps | None, tuple[str, ...]]:
        """The dumps, None without such a folder, and what is odd."""
        if not self._kept:
            return None, ()
        more = len(self._kept) - 1
        odd = (f"{more} more folders named monitor are in the tarball: the first one was read",) if more else ()
        return next(iter(self._kept.values())), odd


def read_tarball(path: Path) -> tuple[Dumps | None, tuple[str, ...]]:
    """The dumps in a tarball, None where it has no folder `monitor`, and what is odd about it.

    Of several such folders that nearest to the root is read. CorruptError where the tarball is cut or damaged,
    OSError where it cannot be read.
    """
    folders = _Folders()
    with path.open("rb", buffering=_BUFFER) as file:
        length = file.seek(0, 2)
        for member in members(file, length):
            folder, _, leaf = member.name.rpartition(b"/")
            if leaf == _LEAF and member.is_folder:
                folders.of(member.name)  # it may be empty
            dumps = folders.of(folder)
            if dumps is None or leaf == b"tmp":
                continue
            if member.is_file and is_stamp(leaf) and member.size <= LARGEST:
                dumps.add(int(leaf), file.read(member.size))
            else:
                dumps.refuse(leaf.decode("utf-8", "backslashreplace"))
    return folders.result()
