"""SHARED of a trial that is over, made again from its entry in `ar/` for a container to read.

Names, sizes and links are a fuzzer's: links are made last, so that nothing is ever written through one, and a link
that would stand behind another is left out.
"""

from __future__ import annotations

import os
import stat
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from magma_remote.errors import CorruptError, StorageError
from magma_remote.model.layout import TARBALL
from magma_remote.runtime.workdir.tarball import Member, members

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 4096  # what a file takes at least
_BUFFER = 1 << 20
_LEAF = b"monitor"
_UNREAD = frozenset({"monitor", "canaries.raw"})
"""What Magma's own run.sh left: the programs make canaries.raw anew, and nobody reads the dumps."""

Parts = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Source:
    """An entry of `ar/`: `tarball` is None for a plain folder. `size` is what unpacking takes in bytes, at the most."""

    folder: Path
    tarball: Path | None
    size: int
    prefix: bytes = b""

    @classmethod
    def of(cls, entry: Path) -> Source:
        """CorruptError where its tarball is cut or damaged, OSError where it cannot be read."""
        tarball = entry / TARBALL
        if not (tarball.is_file() and not tarball.is_symlink()):
            return cls(folder=entry, tarball=None, size=sum(_taken(size) for _, size in _files(entry, ())))
        with tarball.open("rb") as file:
            found = [m._replace(content=None) for m in members(file, file.seek(0, 2))]  # there may be a million
        prefix = _prefix(found)
        size = sum(_taken(m.size) for m in found if _wanted(_parts(os.fsdecode(m.name), prefix)))
        return cls(folder=entry, tarball=tarball, size=size, prefix=prefix)

    def unpack(self, shared: Path, *, most: int) -> tuple[str, ...]:
        """Fill an empty folder; what was left out and why.

        StorageError where its files have more than `most` bytes, whatever its headers say; CorruptError where it is
        damaged, OSError where it cannot be read or written.
        """
        filling = _Filling(shared.resolve(), most)
        try:
            if self.tarball:
                self._unpack_tarball(self.tarball, filling)
            else:
                self._copy(filling)
        except (tarfile.TarError, ValueError, EOFError) as error:
            raise CorruptError(f"{self.tarball or self.folder} is damaged: {error}") from error
        filling.link()
        return tuple(filling.problems)

    def _unpack_tarball(self, path: Path, filling: _Filling) -> None:
        with tarfile.open(path, "r:", encoding="utf-8", errors="surrogateescape") as tar:
            for member in tar:
                parts = _parts(member.name, self.prefix)
                if not _wanted(parts):
                    filling.refuse(member.name, parts)
                elif member.isdir():
                    filling.folder(parts)
                elif member.isreg():
                    content = tar.extractfile(member)
                    if content is not None:
                        filling.file(parts, content, member.mode)
                elif member.issym():
                    filling.symlinks.append((parts, member.linkname))
                elif member.islnk():
                    filling.hardlinks.append((parts, _parts(member.linkname, self.prefix)))

    def _copy(self, filling: _Filling) -> None:
        for folder, folders, files in os.walk(self.folder):
            above = Path(folder).relative_to(self.folder).parts
            folders[:] = [name for name in folders if _wanted((*above, name))]
            for name in (*folders, *files):
                self._copy_one((*above, name), filling)

    def _copy_one(self, parts: Parts, filling: _Filling) -> None:
        path = self.folder.joinpath(*parts)
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            filling.symlinks.append((parts, str(path.readlink())))
        elif stat.S_ISDIR(mode):
            filling.folder(parts)
        elif stat.S_ISREG(mode) and _wanted(parts):
            with path.open("rb") as content:
                filling.file(parts, content, mode)


def _taken(size: int) -> int:
    return size // _BLOCK * _BLOCK + _BLOCK


def _files(entry: Path, above: Parts) -> Iterator[tuple[Parts, int]]:
    with os.scandir(entry) as found:
        for one in found:
            parts = (*above, one.name)
            if not _wanted(parts):
                continue
            if one.is_dir(follow_symlinks=False):
                yield from _files(Path(one.path), parts)
            else:
                yield parts, one.stat(follow_symlinks=False).st_size


def _prefix(found: list[Member]) -> bytes:
    """The folder that SHARED has in the tarball: where the `monitor` nearest to the root is, or a file in it."""
    above = []
    for member in found:
        folder, _, leaf = member.name.rstrip(b"/").rpartition(b"/")
        if leaf != _LEAF:
            folder, _, leaf = folder.rpartition(b"/")
        if leaf == _LEAF:
            above.append(folder)
    return min(above, key=lambda name: len(_parts(os.fsdecode(name), b"")), default=b"")


def _parts(name: str, prefix: bytes) -> Parts:
    """Below SHARED; `..` stays one, and what is not below it begins with it."""
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    root = tuple(part for part in os.fsdecode(prefix).split("/") if part not in {"", "."})
    return parts[len(root) :] if parts[: len(root)] == root else ("..", *parts)


def _wanted(parts: Parts) -> bool:
    return ".." not in parts and not (parts and parts[0] in _UNREAD)


@dataclass
class _Filling:
    """A folder in the making; all parts of what it is given are names."""

    root: Path
    left: int
    symlinks: list[tuple[Parts, str]] = field(default_factory=list)
    hardlinks: list[tuple[Parts, Parts]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    made: set[Parts] = field(default_factory=set)

    def refuse(self, name: str, parts: Parts) -> None:
        if ".." in parts:
            self._left_out(name, "it is outside of the trial's folder")

    def folder(self, parts: Parts) -> None:
        """The container's user is another one: all may write, as in SHARED itself."""
        if parts in self.made:
            return
        for count in range(1, len(parts) + 1):
            above = parts[:count]
            if above not in self.made:
                path = self.root.joinpath(*above)
                path.mkdir()
                path.chmod(0o777)
                self.made.add(above)

    def file(self, parts: Parts, content: IO[bytes], mode: int) -> None:
        path = self._place(parts)
        with path.open("wb") as file:
            while data := content.read(_BUFFER):
                self.left -= len(data)
                if self.left < 0:
                    raise StorageError("its files are larger than they are said to be, and than there is room for")
                file.write(data)
        path.chmod(0o666 | (mode & 0o111))

    def link(self) -> None:
        """Hard links are made while there is no other link yet."""
        for parts, target in self.hardlinks:
            source = self.root.joinpath(*target)
            if not _wanted(parts) or ".." in target or not source.is_file():
                self._left_out("/".join(parts), "what it links to is not there")
                continue
            path = self._place(parts)
            path.unlink(missing_ok=True)
            path.hardlink_to(source)
        for parts, text in self.symlinks:
            path = self.root.joinpath(*parts)
            if not _wanted(parts) or path.parent.resolve() != path.parent or os.path.lexists(path):
                self._left_out("/".join(parts), "it is a link behind a link")
                continue
            self.folder(parts[:-1])
            path.symlink_to(text)

    def _place(self, parts: Parts) -> Path:
        if not parts:
            raise CorruptError("a file of it has no name")
        self.folder(parts[:-1])
        return self.root.joinpath(*parts)

    def _left_out(self, name: str, why: str) -> None:
        shown = name.encode(errors="surrogateescape").decode(errors="backslashreplace")
        self.problems.append(f"{shown} in it is left out: {why}")
