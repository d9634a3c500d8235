"""Reads Magma's dumps out of a `ball.tar` in one pass, header by header: nothing is unpacked, contents are skipped.

A campaign leaves millions of dumps of half a kilobyte each; the standard library's tarfile takes ten times as long
for one as there is to do. Formats as in POSIX.1-1988 and 2001 and GNU tar's: what `tar` and tarfile write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, NamedTuple
from zlib import adler32

from magma_remote.errors import CorruptError
from magma_remote.model.dumps import LARGEST, Dumps, is_stamp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK = 512
_ZEROS = bytes(_BLOCK)
_BUFFER = 1 << 16
_ENDS = b"\0 "
_FILES = {b"0", b"\0", b"7"}
_FOLDER = b"5"
_NO_DATA = {b"1", b"2", b"3", b"4", b"5", b"6"}  # links, devices, folders, pipes: whatever their size says
_LONG_NAME, _LONG_LINK, _PAX, _PAX_ALL, _SPARSE = b"L", b"K", b"x", b"g", b"S"
_ABOUT_NEXT = {_LONG_NAME, _LONG_LINK, _PAX, _PAX_ALL}
_LONGEST = 1 << 20  # of a name or of pax records
_LONGEST_END = 21 * _BLOCK  # two blocks of zeros, and more of them until a record of 20 blocks is full
_ADLER = 65_521
_SIGN = 0x80
_LEAF = b"monitor"


class Member(NamedTuple):
    """`name` as it stands in the tarball, without a closing `/`.

    `content` is that of a small file; None where `size` bytes of it can be read now.
    """

    name: bytes
    kind: bytes
    size: int
    content: bytes | None


def members(file: BinaryIO, length: int) -> Iterator[Member]:
    """Each member of a tarball of `length` bytes; a file's content is next in `file` while it is the current one.

    CorruptError where the tarball is cut or damaged.
    """
    at, there = 0, -1  # where the next header begins, and where the file stands
    known: dict[bytes, bytes] = {}
    while True:
        if there != at:
            file.seek(at)
        header = file.read(2 * _BLOCK)  # most dumps are no longer than a block
        there = at + 2 * _BLOCK
        if len(header) < _BLOCK:
            raise CorruptError(f"it is cut after {length} bytes")
        if not header[0] and header.startswith(_ZEROS):
            _check_end(file, at, length)
            return
        _check_sum(header, at)
        kind, size, start = header[156:157], _size(header, at), at + _BLOCK
        if kind in _ABOUT_NEXT:
            known |= _about_next(kind, _read(file, start, size), at)
            at, there = start + _padded(size), -1
            continue
        if b"size" in known:
            size = _decimal(known[b"size"], at)
        content = header[_BLOCK : _BLOCK + size] if size <= _BLOCK and kind in _FILES else None
        if content is None:
            start, there = _content_at(file, header, start), -1
        at = start + (0 if kind in _NO_DATA else _padded(size))
        if at > length:
            raise CorruptError(f"it is cut after {length} bytes")
        yield Member(known.get(b"path") or _name(header), kind, size, content)
        known = {}


def _check_end(file: BinaryIO, at: int, length: int) -> None:
    """CorruptError where zeros begin that are no end: what they took the place of may be all that was found.

    Whoever writes tarballs ends one with two blocks of zeros, and at most fills its last record up.
    """
    left = length - at
    if left < 2 * _BLOCK:
        raise CorruptError(f"it is cut after {length} bytes")
    file.seek(at)
    if left > _LONGEST_END or any(file.read(left)):
        raise CorruptError(f"it is damaged at byte {at}: zeros stand there, and what is behind them is not its end")


def _padded(size: int) -> int:
    return (size + _BLOCK - 1) // _BLOCK * _BLOCK


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    if size > _LONGEST:
        raise _damaged(at)
    file.seek(at)
    return file.read(size)


def _about_next(kind: bytes, data: bytes, at: int) -> dict[bytes, bytes]:
    """What a member without a content of its own tells of the next one: its `path`, its `size`."""
    if kind == _LONG_NAME:
        return {b"path": data.rstrip(b"\0")}
    return dict(_records(data, at)) if kind == _PAX else {}


def _name(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    if header[345] and header[257:263] == b"ustar\0":
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
    """The usual form first: eleven octal digits and an end. Never below 0, which would lead back to what was read."""
    try:
        size = int(header[124:135], 8) if header[135] in _ENDS else _number(header[124:136], at)
    except ValueError:
        size = _number(header[124:136], at)
    if size < 0:
        raise _damaged(at)
    return size


def _check_sum(header: bytes, at: int) -> None:
    """CorruptError where no header stands here, or another one than was written.

    It is the sum of all bytes, its own eight taken for blanks. Half of an Adler-32 is that modulo a prime, in a
    tenth of the time; it is a few thousand in a usual header.
    """
    total = adler32(header[156:_BLOCK], adler32(header[:148], 8 * ord(" "))) & 0xFFFF
    try:
        if int(header[148:154], 8) % _ADLER == total:
            return
    except ValueError:
        pass
    bytes_ = header[:148] + header[156:_BLOCK]
    total = sum(bytes_) + 8 * ord(" ")
    signed = total - 0x100 * sum(byte >= _SIGN for byte in bytes_)  # as old programs counted
    if _number(header[148:156], at) not in {total, signed}:
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


def _content_at(file: BinaryIO, header: bytes, start: int) -> int:
    """Go to where a member's content begins: behind more headers for a sparse file of GNU tar's old format."""
    file.seek(start)
    more = header[482] if header[156:157] == _SPARSE else 0
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
            name, kind, size, content = member
            if kind == _FOLDER:
                name = name.rstrip(b"/")
                folders.of(name)  # it may be empty
            folder, _, leaf = name.rpartition(b"/")
            dumps = folders.of(folder)
            if dumps is None or leaf == b"tmp":
                continue
            if kind in _FILES and is_stamp(leaf) and size <= LARGEST:
                dumps.add(int(leaf), file.read(size) if content is None else content)
            else:
                dumps.refuse(leaf.decode("utf-8", "backslashreplace"))
    return folders.result()
