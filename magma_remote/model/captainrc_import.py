"""A captainrc's text → a campaign file's text, with its comments beside what they describe."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import ConfigError
from .bash_file import Blank, Command, Comment, Setting, read_bash
from .captainrc import COMPOSED, Entry, Meaning, Names, meaning, names_of
from .document import show

if TYPE_CHECKING:
    from .bash_file import Item
    from .captainrc import Value
    from .tree import MagmaTree

OBJECTS = frozenset(COMPOSED.values())
_COMMENTED_OUT = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*=.*)", re.ASCII | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A campaign file's text, and what it could not carry: `LINE: sentence` each, LINE in the captainrc."""

    text: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Block:
    """A setting or a command (None: comments alone) with the comments right above it and after it."""

    item: Setting | Command | None
    comments: list[str] = field(default_factory=list)


def import_captainrc(text: str, *, tree: MagmaTree | None = None, magma: str | None = None) -> Imported:
    """Translate a captainrc; `magma` becomes MAGMA where the file sets none. ConfigError: it is no Bash."""
    items = read_bash(text)
    settings = {item.name: item for item in items if isinstance(item, Setting)}  # the last one stands
    return _Importer(settings, names_of(settings.values(), tree)).run(items, magma)


class _Importer:
    def __init__(self, settings: dict[str, Setting], names: Names) -> None:
        self._settings = settings
        self._names = names
        self._meanings = {name: meaning(setting, names) for name, setting in settings.items()}
        self._lines: list[str] = []
        self._warnings: list[str] = []
        self._objects: dict[str, int] = {}  # object's key → index of its placeholder line
        self._members: dict[str, list[str]] = {}

    def run(self, items: list[Item], magma: str | None) -> Imported:
        """Write every block, then fill the objects in, as their members may be far apart."""
        for block in _blocks(items):
            self._write(block)
        if "MAGMA" not in self._settings:
            self._add_magma(magma)
        for key, index in self._objects.items():
            self._lines[index] = "\n".join([f"{key}: {{", *self._members[key], "}"])
        return Imported(text="\n".join(self._lines).strip("\n") + "\n", warnings=tuple(self._warnings))

    def _add_magma(self, magma: str | None) -> None:
        if magma is not None:
            while self._lines and not self._lines[-1]:
                self._lines.pop()
            self._lines += ["", f"MAGMA: {_literal(magma)}"]
        else:
            self._warnings.append(
                "1: MAGMA is not set: add it to the campaign file, or give --magma DIR to each command"
            )

    def _write(self, block: _Block) -> None:
        comments = [self._comment(text) for text in block.comments]
        if isinstance(block.item, Setting):
            self._setting(block.item, comments)
        elif isinstance(block.item, Command):
            words = " ".join(block.item.words)
            self._warn(block.item.line, f"the command {show(words)} is not run")
            self._lines += [*comments, *_as_comment(words)]
        else:
            self._lines += [*comments, ""]

    def _warn(self, line: int, sentence: str) -> None:
        self._warnings.append(f"{line}: {sentence}")

    def _setting(self, setting: Setting, comments: list[str]) -> None:
        comments = comments + [self._comment(text) for text in setting.comments]
        if self._settings[setting.name] is not setting:
            self._warn(
                setting.line, f"{setting.name} is left out: line {self._settings[setting.name].line} sets it again"
            )
            self._lines += [*comments, *_as_comment(setting.raw)]
            return
        meant = self._meanings[setting.name]
        if meant.warning:
            self._warn(setting.line, meant.warning)
        if not meant.entries:
            self._lines += [*comments, *_as_comment(setting.raw)]
        elif meant.entries[0].key in OBJECTS:
            self._member(meant, comments)
        else:
            self._lines += [*comments, _line(meant.entries[0])]

    def _member(self, meant: Meaning, comments: list[str]) -> None:
        """An object stands where its first member stood; the comments of later ones move into it."""
        key = meant.entries[0].key
        members = self._members.setdefault(key, [])
        if key in self._objects:
            members += [f"  {comment}" for comment in comments]
        else:
            self._objects[key] = len(self._lines) + len(comments)
            self._lines += [*comments, key]
        members += [f"  {_literal(entry.member)}: {_literal(entry.value)}" for entry in meant.entries]

    def _comment(self, text: str) -> str:
        """A comment as it is, or a setting that is commented out as one of the campaign file."""
        # a carriage return ends an Hjson comment, but no Bash comment
        return self._commented_out(text) or f"#{text}".replace("\r", " ").rstrip()

    def _commented_out(self, text: str) -> str:
        match = _COMMENTED_OUT.fullmatch(text)
        if match is None:
            return ""
        try:
            items = [item for item in read_bash(match[1]) if not isinstance(item, Comment)]
        except ConfigError:
            return ""
        if len(items) != 1 or not isinstance(items[0], Setting):
            return ""
        return "".join(f"# {_line(entry)}" for entry in meaning(items[0], self._names).entries[:1])


def _blocks(items: list[Item]) -> list[_Block]:
    """Group items with the comments right above them; a comment after a setting belongs to it too."""
    blocks: list[_Block] = []
    above: list[str] = []
    for item in items:
        if isinstance(item, Comment):
            if item.line == 1 and item.text.startswith("!"):
                continue  # `#!/bin/bash` says nothing about a campaign
            belongs = blocks[-1].comments if item.trailing and blocks and blocks[-1].item else above
            belongs.append(item.text)
        elif isinstance(item, Blank):
            blocks.append(_Block(item=None, comments=above))
            above = []
        else:
            blocks.append(_Block(item=item, comments=above))
            above = []
    return [*blocks, _Block(item=None, comments=above)]


def _as_comment(text: str) -> list[str]:
    return [f"# {line}".rstrip() for line in text.replace("\r", " ").split("\n")]


def _line(entry: Entry) -> str:
    if entry.member:
        return f"{entry.key}: {{ {_literal(entry.member)}: {_literal(entry.value)} }}"
    return f"{entry.key}: {_literal(entry.value)}"


def _literal(value: Value) -> str:
    """JSON, which is Hjson that no comment or comma can harm."""
    return json.dumps(value, ensure_ascii=False)
