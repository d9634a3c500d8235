"""WORKDIRs as captain, quickrun or dispatch leave them, small and with any defect."""

from __future__ import annotations

import io
import shutil
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from magma_remote.model.layout import Workdir

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

Place = tuple[str, str, str, int]
FIRST: Place = ("afl", "libpng", "readpng", 0)
HEADER = "AAH001_R,AAH001_T,AAH003_R,AAH003_T"


def dump(*counts: int | str, header: str = HEADER) -> str:
    """A monitor file; bugs AAH001 and AAH003 unless a header is given."""
    return f"{header}\n{','.join(map(str, counts))}\n"


def usual() -> dict[str, str]:
    """AAH001 reached at 5 s and triggered at 15 s, AAH003 reached at 10 s."""
    return {
        "5": dump(1, 0, 0, 0),
        "10": dump(20, 0, 3, 0),
        "15": dump(300, 2, 40, 0),
        "20": dump(4000, 9, 500, 0),
    }


@dataclass
class Ball:
    """A trial's files by their paths in SHARED; `folders` are further, empty ones."""

    files: Mapping[str, str | bytes]
    folders: Sequence[str] = ()
    root: str = "."
    format: int = tarfile.GNU_FORMAT
    links: Mapping[str, str] = field(default_factory=dict)

    def tar(self, path: Path, *, order: Iterable[str] | None = None) -> None:
        with tarfile.open(path, "w", format=self.format) as tar:
            for name in [self.root, *(f"{self.root}/{folder}" for folder in self.folders)]:
                entry = tarfile.TarInfo(name)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
            for name in order or self.files:
                content = self.files[name]
                data = content.encode() if isinstance(content, str) else content
                entry = tarfile.TarInfo(f"{self.root}/{name}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
            for name, target in self.links.items():
                entry = tarfile.TarInfo(f"{self.root}/{name}")
                entry.type, entry.linkname = tarfile.SYMTYPE, target
                tar.addfile(entry)

    def plain(self, folder: Path) -> None:
        for name in self.folders:
            (folder / name).mkdir(parents=True)
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def a_ball(dumps: Mapping[str, str | bytes] | None = None, others: Mapping[str, str | bytes] | None = None) -> Ball:
    """A trial with these dumps, and with what a fuzzer leaves; `others` are further files."""
    monitor = {f"monitor/{name}": text for name, text in (usual() if dumps is None else dumps).items()}
    files: dict[str, str | bytes] = {
        "findings/default/queue/id:000000": "seed",
        "log/current": "afl-fuzz",
        **monitor,
        **(others or {}),
    }
    return Ball(files=files, folders=("findings", "log", "monitor"))


@dataclass
class Merged:
    """A WORKDIR in the making."""

    root: Path

    def __post_init__(self) -> None:
        for folder in ("ar", "log", "poc"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)

    @property
    def workdir(self) -> Workdir:
        return Workdir(self.root)

    def entry(self, place: Place = FIRST) -> Path:
        return self.workdir.ar.joinpath(*place[:3], str(place[3]))

    def add(self, place: Place = FIRST, ball: Ball | None = None, *, plain: bool = False) -> Path:
        """A trial; its tarball, or its folder with `plain`."""
        entry, ball = self.entry(place), ball or a_ball()
        entry.mkdir(parents=True)
        if plain:
            ball.plain(entry)
            return entry
        ball.tar(entry / "ball.tar")
        return entry / "ball.tar"

    def log(self, place: Place = FIRST, text: str = "Campaign launched at 2026-01-31 12:00\n") -> None:
        (self.root / "log" / f"{'_'.join(map(str, place))}_container.log").write_text(text)

    def remove(self, place: Place = FIRST) -> None:
        shutil.rmtree(self.entry(place))


def cut(path: Path, keep: int) -> None:
    """Leave the first bytes of a file."""
    with path.open("r+b") as file:
        file.truncate(keep)
