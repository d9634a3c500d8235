"""Reads the members of a settings file; what does not fit is noted, and reading goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from .address import parse_port
from .document import describe
from .fields import Fields, shown_key, unique
from .findings import Findings, did_you_mean, listed
from .names import is_plain_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from .document import Node, Table

T = TypeVar("T")
S = TypeVar("S")

_CPUS = "a list of logical CPU numbers, such as [0, 1]"


@dataclass(frozen=True, kw_only=True)
class Reading(Generic[S]):
    """Settings as far as their file gives them: what it lacks or has wrong holds a default, and is in `findings`.

    `lines` tells where each key stands whose value is good.
    """

    settings: S
    findings: Findings
    lines: Mapping[str, int]


class SettingsReader:
    """Reads one file's members; a reader of a value gives None, or its default, where it is missing or bad."""

    def __init__(
        self,
        document: Table,
        keys: tuple[str, ...],
        locate: Callable[[str], Path],
        *,
        other: tuple[str, tuple[str, ...]],
    ) -> None:
        self._findings = Findings()
        self._members = unique(document, self._findings)
        self._locate = locate
        self._bad: set[str] = set()
        self.fields = Fields(self._members, self._findings)
        for key, node in self._members.items():
            if key not in keys:
                hint = f"it belongs in {other[0]}" if key in other[1] else did_you_mean(key, keys)
                self._findings.add(shown_key(key), node.line, "unknown key", listed(keys), hint)

    def reading(self, settings: S) -> Reading[S]:
        """What was read, with the lines of what was good."""
        lines = {key: node.line for key, node in self._members.items() if key not in self._bad}
        return Reading(settings=settings, findings=self._findings, lines=lines)

    def text(self, key: str, parse: Callable[[str], T], allowed: str) -> T | None:
        """What `parse` makes of a text; its ValueError may say a hint."""
        node = self._members.get(key)
        if node is None:
            return None
        text = self.fields.text(key, node)
        if text is None:
            self._bad.add(key)
            return None
        try:
            return parse(text)
        except ValueError as error:
            self._reject(key, node, allowed, str(error))
            return None

    def path(self, key: str) -> Path | None:
        """An absolute path."""
        return self.text(key, self._path, "a path, relative to this file or absolute")

    def _path(self, text: str) -> Path:
        if not text.strip():
            raise ValueError("an empty text would be this file's own folder")
        return self._locate(text)

    def choice(self, key: str, options: tuple[str, ...]) -> str:
        """One of some words, the first of them by default."""
        node = self._members.get(key)
        found = self.fields.choice(key, {name: name for name in options}, "", listed(options))
        if node is not None and not found:
            self._bad.add(key)
        return found or options[0]

    def number(self, key: str, default: int, most: int, *, least: int = 1) -> int:
        """An integer from `least`, which is 1 or more, to `most`."""
        node = self._members.get(key)
        number = None if node is None else self.fields.integer(key, node, 1)
        if node is not None and number is not None and not least <= number <= most:
            self._reject(key, node, f"an integer from {least} to {most}")
            return default
        return number or default

    def port(self, key: str, default: int) -> int:
        """A TCP port."""
        node = self._members.get(key)
        if node is None:
            return default
        try:
            return parse_port(describe(node.value) if type(node.value) is int else "")
        except ValueError as error:
            self._reject(key, node, str(error).removeprefix("a port is "))
            return default

    def cpus(self, key: str) -> tuple[int, ...]:
        """Numbers of CPUs, ascending, each once."""
        node = self._members.get(key)
        if node is None:
            return ()
        if not isinstance(node.value, tuple) or not node.value:
            self._reject(key, node, _CPUS)
            return ()
        cpus: set[int] = set()
        for item in node.value:
            cpu = self.fields.integer(key, item, 0)
            if cpu in cpus:
                self.fields.repeated(key, item)
            elif cpu is not None:
                cpus.add(cpu)
        return tuple(sorted(cpus))

    def _reject(self, key: str, node: Node, allowed: str, hint: str = "") -> None:
        self._bad.add(key)
        self.fields.reject(key, node, allowed, hint)


def plain_name(text: str) -> str:
    """The same text; ValueError where it is no plain name."""
    if not is_plain_name(text):
        raise ValueError
    return text
