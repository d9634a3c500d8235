"""A parsed Hjson text whose every value knows its line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

LONGEST_SHOWN = 60  # characters of a user's text that a message repeats


@dataclass(frozen=True, kw_only=True)
class Node:
    """A value and its place.

    `line` is where a reader looks first: a member's key, or a list's element. `value_line` is where the
    value itself begins. `quoted` is False for a text without quotes, which takes the rest of its line.
    """

    value: Value
    line: int
    value_line: int
    quoted: bool = True


@dataclass(frozen=True)
class Table:
    """An object's members in file order; a key that is given twice stands in it twice."""

    pairs: tuple[tuple[str, Node], ...]


Value: TypeAlias = bool | int | float | str | tuple[Node, ...] | Table | None


def show(text: str) -> str:
    """Text from a file, safe on any terminal: quoted, one line, shortened."""
    short = text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."
    return '"' + "".join(c if c.isprintable() else _escape(c) for c in short) + '"'


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def describe(value: Value) -> str:
    """What a value is, for `found …`."""
    match value:
        case str():
            return show(value)
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case tuple():
            return "a list" if value else "an empty list"
        case Table():
            return "an object" if value.pairs else "an empty object"
        case _:
            return _number(value)


def _number(value: float) -> str:
    """A number as text; a very long one only by its length (Python refuses to print it)."""
    if isinstance(value, int) and value.bit_length() > 200:  # noqa: PLR2004 - some 60 digits, as LONGEST_SHOWN
        return "a number of more than 60 digits"
    return str(value)


def swallow_hint(node: Node) -> str:
    """Say how Hjson came to read a text without quotes, where that explains a surprise; else empty."""
    if not isinstance(node.value, str) or node.quoted:
        return ""
    if node.value_line > node.line:
        return f"no value follows the key on its line, so Hjson took line {node.value_line} as its value"
    if any(mark in node.value for mark in ("#", "//", "/*", ",", "]", "}")):
        return "a text without quotes takes the rest of its line, commas and comments too: put it in quotes"
    return ""
