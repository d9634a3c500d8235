"""Files in log/, poc/ and trials/: two trials may have listed one of them, each as it was then."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from magma_remote.errors import WireError
from magma_remote.model.manifest import Entry, Kind, from_wire, to_wire
from magma_remote.model.pocs import INDEX, listed_in
from magma_remote.model.verdict import Fault, Wrong
from magma_remote.runtime.files import read_file, standing_in
from magma_remote.runtime.verifying.trial import FLAT, difference, unreadable
from magma_remote.runtime.workdir.manifest import scan_entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from magma_remote.model.layout import Workdir
    from magma_remote.runtime.verifying.expecting import Expectation
    from magma_remote.runtime.verifying.trial import Checked

_OURS = re.compile(r"log/dispatcher\.jsonl(\.[0-9]+)?|poc/index\.json")
_STARTS = tuple(f"{folder}/" for folder in FLAT)
_POC = re.compile(r"poc/.+\.([0-9a-f]{8,64})")
_BUILD = re.compile(r"log/(.+)_build_[^_]+\.log")


@dataclass(frozen=True, kw_only=True)
class Task:
    """A file that is there: as which it was listed by trials, and its SHA-256 where it belongs to none."""

    name: str
    listed: tuple[Entry, ...] = ()
    other: str | None = None


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What was found of it."""

    wrong: Wrong | None
    size: int = 0
    other_mode: bool = False


class Flat:
    """Who listed which of these files, and which are there."""

    def __init__(self, workdir: Workdir, known: Expectation, checked: Sequence[Checked]) -> None:
        indexed, self._index = _indexed(workdir)
        self._others = {**indexed, **known.others}
        self._pairs = {f"{expected.job.fuzzer}_{expected.job.target}" for expected in known.trials}
        self._compared = bool(known.trials)
        self._sealed = known.sealed
        self._listed: dict[str, list[Entry]] = {}
        for expected, one in zip(known.trials, checked, strict=True):
            if not one.flat:  # its manifest is not there: manifest.json may still tell
                self._others |= {name: sha for name, sha in (expected.files or {}).items() if name.startswith(_STARTS)}
            for entry in one.flat:
                self._listed.setdefault(entry.path, []).append(entry)
        self._there: list[str] = []
        self._closed: dict[str, OSError] = {}
        for folder in FLAT:
            try:
                self._there += files_in(workdir.root / folder, folder)
            except OSError as error:
                self._closed[folder] = error

    def tasks(self) -> list[Task]:
        """What is there, but for what this program writes for itself and builds that no trial ran on."""
        if not self._compared:
            return []
        names = (name for name in self._there if not _OURS.fullmatch(name) and not self._is_build(name))
        return [
            Task(name=name, listed=tuple(self._listed.get(name, ())), other=self._others.get(name)) for name in names
        ]

    def _is_build(self, name: str) -> bool:
        """A build log that no trial brought: the dispatcher builds too."""
        match = _BUILD.fullmatch(name)
        unlisted = name not in self._listed and name not in self._others and not self._sealed
        return unlisted and match is not None and match[1] in self._pairs

    def notes(self) -> Iterator[str]:
        """What was not compared."""
        count = sum(self._is_build(name) for name in self._there)
        if count and self._compared:
            yield f"{count} build logs are in no trial's manifest, and were not compared with anything"

    def missing(self) -> Iterator[Wrong]:
        """What was listed and is not there under any name; of two PoCs of one name the second got a longer one."""
        yield from self._index
        yield from (unreadable(folder, error) for folder, error in self._closed.items())
        there = set(self._there)
        for name, entries in self._listed.items():
            if name not in there and any(f"{name}.{entry.sha256}" not in there for entry in entries):
                yield self._not_seen(name)
        yield from (self._not_seen(name) for name in self._others if name not in there)

    def _not_seen(self, name: str) -> Wrong:
        error = self._closed.get(name.partition("/")[0])
        return unreadable(name, error) if error else Wrong(fault=Fault.MISSING, path=name)


def _indexed(workdir: Workdir) -> tuple[dict[str, str], tuple[Wrong, ...]]:
    """PoCs that were extracted later are in no trial's manifest, but in the index, with their SHA-256."""
    try:
        found = listed_in(read_file(workdir.pocs / INDEX))
    except FileNotFoundError:
        return {}, ()
    except OSError as error:
        return {}, (unreadable(f"poc/{INDEX}", error),)
    except WireError as error:
        why = f"it is not as this program writes it ({error}); `magma-remote extract` makes it anew"
        return {}, (Wrong(fault=Fault.ALTERED, path=f"poc/{INDEX}", message=why),)
    return {f"poc/{name}": sha256 for name, sha256 in found.items()}, ()


@dataclass(frozen=True)
class FlatCheck:
    """Whether a file is as somebody listed it; it may be pickled."""

    workdir: Workdir

    def __call__(self, task: Task) -> Looked:
        """Hash it."""
        try:
            found = scan_entry(self.workdir.root / from_wire(task.name), task.name)
        except OSError as error:
            return Looked(wrong=unreadable(task.name, error))
        if found is None or found.kind is not Kind.FILE:
            return Looked(wrong=Wrong(fault=Fault.EXTRA, path=task.name, message="it is no file"))
        other_mode = bool(task.listed) and all(entry.mode != found.mode for entry in task.listed)
        return Looked(wrong=_wrong(task, found), size=found.size, other_mode=other_mode)


def _wrong(task: Task, found: Entry) -> Wrong | None:
    differences = [difference(found, entry) for entry in task.listed]
    if "" in differences or task.other == found.sha256:
        return None
    if differences or task.other:
        message = differences[0] if differences else "its content is another"
        return Wrong(fault=Fault.ALTERED, path=task.name, message=message)
    match = _POC.fullmatch(task.name)  # a PoC that was extracted later is in no manifest: its name proves it
    proves_itself = match is not None and found.sha256.startswith(match[1])
    return None if proves_itself else Wrong(fault=Fault.EXTRA, path=task.name)


def files_in(folder: Path, name: str) -> list[str]:
    """What stands in a folder, in the manifests' spelling, each beginning with `name`; OSError where it is closed."""
    return [f"{name}/{to_wire(path.name)}" for path in standing_in(folder)] if folder.is_dir() else []
