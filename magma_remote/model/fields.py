"""Reads the members of a campaign file as types; what does not fit is noted, and reading goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from .document import Node, Table, describe, show, swallow_hint
from .findings import did_you_mean, listed
from .names import ONE_LINE, PLAIN_NAME, is_one_line, is_plain_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .findings import Findings

T = TypeVar("T")
# what people write for a boolean → what they mean
_FLAG_WORDS = {
    **dict.fromkeys(("true", "1", "yes", "on"), "true"),
    **dict.fromkeys(("false", "0", "no", "off"), "false"),
}


@dataclass(frozen=True)
class Name:
    """A name and the line that gives it."""

    text: str
    line: int


class Fields:
    """Typed access to one table. A reader returns its default where a key is missing or its value bad."""

    def __init__(self, members: Mapping[str, Node], findings: Findings) -> None:
        self._members = members
        self._findings = findings

    def node(self, key: str) -> Node | None:
        """The raw value, or None."""
        return self._members.get(key)

    def line(self, key: str) -> int | None:
        """Where the key stands, or None."""
        return self._members[key].line if key in self._members else None

    def member_line(self, key: str, member: str) -> int | None:
        """Where a member of an object stands, or None."""
        node = self.node(key)
        if node is None or not isinstance(node.value, Table):
            return None
        return next((inner.line for name, inner in node.value.pairs if name == member), None)

    def require(self, key: str, allowed: str) -> None:
        """Note a missing key."""
        if key not in self._members:
            self._findings.add(key, None, "missing", allowed)

    def reject(self, key: str, node: Node, allowed: str, hint: str = "") -> None:
        """Note a value that does not fit, with what explains a surprise."""
        self._findings.add(key, node.line, f"found {describe(node.value)}", allowed, swallow_hint(node) or hint)

    def integer(self, key: str, node: Node, least: int) -> int | None:
        """An integer of `least` or more; true and false are none."""
        value = node.value
        if isinstance(value, int) and not isinstance(value, bool) and value >= least:
            return value
        digits = value if isinstance(value, str) and value.isascii() and value.isdigit() else ""
        hint = "write it without quotes" if node.quoted else f"did you mean {digits.lstrip('0') or '0'}?"
        self.reject(key, node, f"an integer of {least} or more", hint if digits else "")
        return None

    def optional_integer(self, key: str) -> int | None:
        """An integer of 1 or more, or None."""
        node = self.node(key)
        return None if node is None else self.integer(key, node, 1)

    def flag(self, key: str) -> bool:
        """True, false, or captain's 1 and 0; false by default."""
        node = self.node(key)
        if node is None:
            return False
        if isinstance(node.value, (bool, int)) and node.value in (0, 1):
            return bool(node.value)
        word = _FLAG_WORDS.get(node.value.casefold(), "") if isinstance(node.value, str) else ""
        self.reject(key, node, "true or false", f"write {word} without quotes" if word else "")
        return False

    def choice(self, key: str, options: Mapping[str | int, T], default: T, allowed: str) -> T:
        """One of `options`, each a word or a number."""
        node = self.node(key)
        if node is None:
            return default
        if isinstance(node.value, (str, int)) and not isinstance(node.value, bool) and node.value in options:
            return options[node.value]
        near = ""
        if isinstance(node.value, str):
            near = did_you_mean(node.value, [o for o in options if isinstance(o, str)])
        self.reject(key, node, allowed, near)
        return default

    def parsed(self, key: str, parse: Callable[[str], T], default: T, allowed: str, unit: str) -> T:
        """A text that `parse` takes (ValueError: it does not); `unit` is suggested for a bare number."""
        node = self.node(key)
        if node is None:
            return default
        number = isinstance(node.value, (int, float)) and not isinstance(node.value, bool)
        if number or isinstance(node.value, str):
            try:
                return parse(str(node.value))
            except ValueError:
                pass
        self.reject(key, node, allowed, f"did you mean {describe(node.value)}{unit}?" if number else "")
        return default

    def text(self, key: str, node: Node) -> str | None:
        """One line of text, quoted where Hjson could have taken more than was meant."""
        text = plain_text(node)
        if text is not None:
            return text
        if isinstance(node.value, str) and is_one_line(node.value):
            self.reject(key, node, "a text in quotes, where it has a comma or a comment mark")
        else:
            number = isinstance(node.value, (bool, int, float))
            hint = "put it in quotes" if number else 'write "" for none' if node.value is None else ""
            self.reject(key, node, ONE_LINE, hint)
        return None

    def table(self, key: str, allowed: str) -> dict[str, Node]:
        """The members of an object; a key that it gives twice is noted."""
        node = self.node(key)
        if node is None:
            return {}
        if isinstance(node.value, Table):
            return unique(node.value, self._findings, prefix=f"{key} ")
        self.reject(key, node, allowed)
        return {}

    def names(self, key: str, node: Node, allowed: str) -> tuple[Name, ...] | None:
        """A list, not empty, of plain names, each given once; None where it is no such list at all."""
        if not isinstance(node.value, tuple) or not node.value:
            self.reject(key, node, allowed)
            return None
        first: dict[str, int] = {}
        for item in node.value:
            if not isinstance(item.value, str) or not is_plain_name(item.value):
                self.reject(key, item, PLAIN_NAME)
            elif item.value in first:
                where = f"first on line {first[item.value]}"
                self._findings.add(key, item.line, f"{show(item.value)} is listed twice, {where}", "each name once")
            else:
                first[item.value] = item.line
        return tuple(Name(text, line) for text, line in first.items())

    def repeated(self, key: str, node: Node) -> None:
        """Note a list's element that stands in the list already."""
        self._findings.add(key, node.line, f"{describe(node.value)} is listed twice", "each once")

    def unknown(self, key: str, name: Name, what: str, known: tuple[str, ...]) -> None:
        """Note a name that the tree does not have."""
        self._findings.add(
            key,
            name.line,
            f"unknown {what} {show(name.text)}",
            listed(known) or f"nothing: the tree has no {what}",
            did_you_mean(name.text, known),
        )


def plain_text(node: Node) -> str | None:
    """The text of a node, or None where it is none, has more than a line, or took more than was meant."""
    value = node.value
    if not isinstance(value, str) or not is_one_line(value):
        return None
    swallowed = node.value_line > node.line or value.endswith(",")
    swallowed = swallowed or any(mark in value for mark in (" #", " //", " /*"))
    return None if swallowed and not node.quoted else value


def unique(table: Table, findings: Findings, prefix: str = "") -> dict[str, Node]:
    """Members by key, the first of each; a key that is given twice is noted with both lines."""
    members: dict[str, Node] = {}
    for key, node in table.pairs:
        if key in members:
            found = f"given twice, on lines {members[key].line} and {node.line}"
            findings.add(prefix + shown_key(key), node.line, found, "each key once")
        else:
            members[key] = node
    return members


def shown_key(key: str) -> str:
    """A key as a message begins with it: bare where it is plain."""
    return key if is_plain_name(key) else show(key)
