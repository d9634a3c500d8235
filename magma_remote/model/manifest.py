r"""What a result's folder holds, as its worker wrote it: `{"version": 1, "entries": [{"path": …}, …]}`.

A path is relative, with `/` between its parts. A file name is bytes: they are read as UTF-8, each byte that is none
as a lone surrogate (PEP 383), which JSON writes as `\udcXX`. A mode is what owner, group and others may, in octal:
set-user-ID and its kin are never carried to another machine.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ..errors import CorruptError, WireError
from .document import show

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION = 1
NAME = "manifest.json"
"""The manifest's own file in the folder; it is no entry."""

MODE_BITS = 0o777
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MODE = re.compile(r"[0-7]{3}", re.ASCII)


class Kind(StrEnum):
    """What stands at a path; the values are those of the JSON text."""

    FILE = "file"
    LINK = "link"
    DIR = "dir"


_MEMBERS = {
    Kind.FILE: {"path", "kind", "mode", "size", "sha256"},
    Kind.LINK: {"path", "kind", "target"},
    Kind.DIR: {"path", "kind", "mode"},
}


@dataclass(frozen=True, kw_only=True, slots=True)  # there may be a million
class Entry:
    """`mode` is 0 for a link; `size` in bytes and `sha256` are a file's, `target` is a link's."""

    path: str
    kind: Kind
    mode: int = 0
    size: int = 0
    sha256: str = ""
    target: str = ""

    @property
    def depth(self) -> int:
        """How many folders it is in, the manifest's own not counted."""
        return self.path.count("/")

    def check(self) -> None:
        """CorruptError where it is not inside its folder, or points out of it."""
        parts = self.path.split("/")
        if not is_bytes(self.path) or any(part in {"", ".", ".."} for part in parts) or self.path == NAME:
            raise CorruptError(f"a manifest lists {show(self.path)}, which is no path inside its folder")
        if self.kind is Kind.LINK and climb(self.target) > self.depth:
            raise CorruptError(
                f"{show(self.path)} is a link to {show(self.target)}, outside of its result's folder: such a link is "
                "not fetched; with NO_ARCHIVE: false in the campaign file, ball.tar keeps it as it is"
            )

    def to_json(self) -> str:
        """One line."""
        value: dict[str, Any] = {"path": self.path, "kind": self.kind.value}
        if self.kind is Kind.LINK:
            return json.dumps({**value, "target": self.target})
        value["mode"] = f"{self.mode:03o}"
        return json.dumps({**value, "size": self.size, "sha256": self.sha256} if self.kind is Kind.FILE else value)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Entries by their paths, a folder before what it holds."""

    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Manifest:
        """CorruptError where one leaves the folder, stands twice, or is in what is not listed as a folder."""
        ordered = tuple(sorted(entries, key=lambda entry: entry.path.split("/")))
        kinds: dict[str, Kind] = {}
        for entry in ordered:
            entry.check()
            parent = entry.path.rpartition("/")[0]
            if entry.path in kinds or (parent and kinds.get(parent) is not Kind.DIR):
                raise CorruptError(f"a manifest lists {show(entry.path)} twice, or inside of what is no folder")
            kinds[entry.path] = entry.kind
        return cls(entries=ordered)

    def below(self, folder: str) -> Manifest:
        """What is inside of one of its folders, by paths relative to that; CorruptError for a link that leaves it."""
        start = f"{folder}/"
        inside = (entry for entry in self.entries if entry.path.startswith(start))
        return Manifest.of(replace(entry, path=entry.path.removeprefix(start)) for entry in inside)


def climb(target: str) -> float:
    """How many folders up a link leads, infinity where that cannot be told from its text.

    Links are followed within links: `..` behind a name may be another folder's, so that it stands at the start only.
    """
    parts = [part for part in target.split("/") if part not in {"", "."}]
    ups = next((at for at, part in enumerate(parts) if part != ".."), len(parts))
    plain = target and not target.startswith("/") and ".." not in parts[ups:] and is_bytes(target)
    return ups if plain else float("inf")


def write(manifest: Manifest) -> str:
    """The JSON text, an entry a line."""
    lines = ",\n".join(entry.to_json() for entry in manifest.entries)
    return f'{{"version": {VERSION}, "entries": [\n{lines}\n]}}\n'


def read(text: str | bytes) -> Manifest:
    """WireError for what is not in this version's form, CorruptError for entries that are not inside the folder."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError(f"{NAME} is no JSON: {error}") from error
    if not isinstance(found, dict) or type(found.get("version")) is not int or found["version"] != VERSION:
        raise WireError(f"{NAME} is not of version {VERSION}: update the older host")
    if set(found) != {"version", "entries"} or not isinstance(found["entries"], list):
        raise WireError(f"{NAME} has other members than version and entries")
    return Manifest.of(_entry(value) for value in found["entries"])


def _entry(value: Any) -> Entry:
    try:
        kind = Kind(value["kind"])
        fits = set(value) == _MEMBERS[kind] and isinstance(value["path"], str)
    except (KeyError, TypeError, ValueError):
        fits = False
    if not fits or not all(_FORMS[name](value[name]) for name in value.keys() - {"path", "kind"}):
        raise WireError(f"{NAME} has an entry that is not as it should be: {show(repr(value))}")
    return Entry(**{**value, "kind": kind, "mode": int(value.get("mode", "0"), 8)})


_FORMS = {
    "mode": lambda value: isinstance(value, str) and _MODE.fullmatch(value) is not None,
    "size": lambda value: type(value) is int and value >= 0,
    "sha256": lambda value: isinstance(value, str) and _SHA256.fullmatch(value) is not None,
    "target": lambda value: isinstance(value, str),
}


def is_bytes(text: str) -> bool:
    """Whether it is the one spelling of some bytes that a file system takes."""
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return b"\0" not in raw and raw.decode("utf-8", "surrogateescape") == text


def to_wire(name: str) -> str:
    """A name of this system in the manifest's spelling, whatever this system's own is."""
    return os.fsencode(name).decode("utf-8", "surrogateescape")


def from_wire(path: str) -> str:
    """A path or target of a manifest as this system spells it."""
    return os.fsdecode(path.encode("utf-8", "surrogateescape"))
