"""A build context: only the parts of a Magma tree that an image needs, digested and packed."""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
from typing import TYPE_CHECKING

from magma_remote.errors import StorageError
from magma_remote.model import image
from magma_remote.model.image import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_NEVER = {".git"}


class Context:
    """Files of a tree; what was digested once is remembered for the next image."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, tuple[Entry, ...]] = {}

    def sources(self, args: Mapping[str, str]) -> image.Sources:
        """What the Dockerfile takes with these build arguments, read anew each time.

        What is packed later is what was digested here, or packing fails.
        """
        file = self._root / image.DOCKERFILE
        try:
            return image.sources(file.read_text(errors="replace"), args)
        except OSError as error:
            raise StorageError(f"{file} cannot be read: {error.strerror}") from error

    def entries(self, paths: Iterable[str]) -> tuple[Entry, ...]:
        """All files, links and folders under these paths of the tree, digested."""
        return tuple(entry for path in paths for entry in self._under(path))

    def pack(self, paths: Iterable[str], destination: Path) -> None:
        """Write a tar file of these paths; owners and times are left out, as in the digest."""
        with tarfile.open(destination, "w", format=tarfile.GNU_FORMAT) as tar:
            for entry in sorted(set(self.entries(paths))):
                self._add(tar, entry)

    def _under(self, path: str) -> tuple[Entry, ...]:
        if path not in self._known:
            try:
                self._known[path] = tuple(self._walk(self._root / path, top=True))
            except OSError as error:
                raise StorageError(f"the Magma tree cannot be read: {error}") from error
        return self._known[path]

    def _walk(self, path: Path, *, top: bool = False) -> Iterator[Entry]:
        """A fuzzer or target that is a link to its folder stands for that folder."""
        mode = path.stat(follow_symlinks=top).st_mode
        name = path.relative_to(self._root).as_posix()
        if stat.S_ISLNK(mode):
            yield Entry(path=name, kind="l", content=str(path.readlink()))
        elif stat.S_ISDIR(mode):
            yield Entry(path=name, kind="d", content="")
            for child in sorted(path.iterdir()):
                if child.name not in _NEVER:
                    yield from self._walk(child)
        elif stat.S_ISREG(mode):
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            yield Entry(path=name, kind="x" if mode & stat.S_IXUSR else "f", content=content)

    def _add(self, tar: tarfile.TarFile, entry: Entry) -> None:
        info = tarfile.TarInfo(entry.path)
        info.mode = 0o644 if entry.kind == "f" else 0o755
        if entry.kind == "d":
            info.type = tarfile.DIRTYPE
        elif entry.kind == "l":
            info.type, info.linkname = tarfile.SYMTYPE, entry.content
        else:
            data = self._content(entry)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
            return
        tar.addfile(info)

    def _content(self, entry: Entry) -> bytes:
        path = self._root / entry.path
        data = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(data).hexdigest() != entry.content:
            raise StorageError(f"{path} changed while its image was being built; run again")
        return data
