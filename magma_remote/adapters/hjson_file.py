"""Reads Hjson with the reference library, keeping lines; any bytes end in ConfigError at worst."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from hjson.decoder import HjsonDecoder, JSONArray, JSONObject, getNext, make_scanner
from hjson.scanner import HjsonDecodeError

from magma_remote.model.document import Node, Table, show

from .text_file import decode, read_bytes, refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from magma_remote.model.document import Value

DEEPEST = 16
# How the library's messages begin → our words; %r stands for the character that it stumbled over.
_WORDS = {
    "Bad key name (eof)": 'the file ends where a KEY: was expected; a "}" or a ":" is missing',
    "Bad multiline string": "a ''' text that is not closed",
    "Expecting value": "the file ends where a value was expected",
    "Extra data": "more text follows the end of the object",
    "End of input while parsing an array": 'a list has no closing "]"',
    "Found ':' but no key name": 'a ":" with no key before it; the key above may have no value',
    "Found whitespace in your key name": 'a key with a blank in it; a ":" may be missing',
    "Found a punctuator character": "%r where a value was expected",
    "Found '": "%r where a KEY: was expected; a list stands in [ ], a text with such characters in quotes",
    "Invalid control character": "%r inside quotes; a closing quote may be missing",
    "Unterminated string": "a text whose quotes are not closed",
}


def read_hjson(path: Path) -> Table:
    """The object that a file holds; ConfigError, with the path as its source, for anything else."""
    return parse_hjson(read_bytes(path), source=str(path))


def parse_hjson(data: bytes, *, source: str = "") -> Table:
    """The object that bytes hold; ConfigError for anything else."""
    # One newline in front: the library looks back for one to find the indent of a ''' text.
    text = "\n" + decode(data, source)
    decoder = _LocatedDecoder(text)
    try:
        return decoder.document()
    except HjsonDecodeError as error:
        at = _position(error)
        line = text.count("\n", 0, at)
        raise refused(_message(error, at), source, line, hint=decoder.suspicion()) from error
    except (IndexError, OverflowError, ValueError, RecursionError) as error:
        # what the library lets through: an open /*, 1e999, an integer of thousands of digits
        found = "a number that is too large" if isinstance(error, (OverflowError, ValueError)) else ""
        found = found or "the file ends inside a comment or a text"
        raise refused(f"not Hjson: {found}", source, decoder.last_line) from error


def _message(error: HjsonDecodeError, at: int) -> str:
    words = str(error.msg)
    text = next((ours for theirs, ours in _WORDS.items() if words.startswith(theirs)), words)
    return "not Hjson: " + text.replace("%r", show(error.doc[at : at + 1]))


def _position(error: HjsonDecodeError) -> int:
    """Index of what the message is about: never in the blank lines at the end of the file."""
    position = int(error.pos)
    if str(error.msg).startswith("Invalid control character"):  # the library points behind it
        position -= 1
    return min(position, len(error.doc.rstrip()))


class _LocatedDecoder(HjsonDecoder):  # type: ignore[misc]  # hjson ships no types
    """The library's decoder with its two container parsers wrapped: each value comes out as a Node."""

    def __init__(self, text: str) -> None:
        super().__init__(object_pairs_hook=lambda pairs: Table(tuple(pairs)))
        self._text = text
        self._newlines = [i for i, char in enumerate(text) if char == "\n"]
        self._depth = 0
        self._suspect: tuple[int, str] | None = None
        self.last_line = 1
        self.parse_object = self._object
        self.parse_array = self._array
        self.scan_once, self.scan_object_once = make_scanner(self)

    def document(self) -> Table:
        """The whole text as one object, with or without its outer braces."""
        char, start = getNext(self._text, 0)
        if not char:
            return Table(())
        # not raw_decode(): after an error it retries the text as one string and reports that instead
        scan = self.scan_once if char in "{[" else self.scan_object_once
        table, end = scan(self._text, start)
        if not isinstance(table, Table):
            raise HjsonDecodeError("a list, not an object of KEY: value lines", self._text, start)
        _, end = getNext(self._text, end)
        if end != len(self._text):
            raise HjsonDecodeError("Extra data", self._text, end)
        return table

    def suspicion(self) -> str:
        """A hint on the first text without quotes that swallowed a bracket, or an empty text."""
        if self._suspect is None:
            return ""
        line, text = self._suspect
        return (
            f"line {line}: {show(text)} was read as one text, as a text without quotes takes the rest of its "
            "line: put it in quotes, or each item on a line of its own"
        )

    def _object(self, state: tuple[str, int], encoding: Any, strict: Any, scan: Any, *hooks: Any) -> tuple[Any, int]:
        with_lines = self._located(scan, state[1], member=True)
        return self._nested(lambda: JSONObject(state, encoding, strict, with_lines, *hooks), state[1])

    def _array(self, state: tuple[str, int], scan: Any) -> tuple[Any, int]:
        with_lines = self._located(scan, state[1], member=False)
        values, end = self._nested(lambda: JSONArray(state, with_lines), state[1])
        return tuple(values), end

    def _nested(self, parse: Callable[[], tuple[Any, int]], start: int) -> tuple[Any, int]:
        self._depth += 1
        if self._depth > DEEPEST:
            raise HjsonDecodeError(f"nested more than {DEEPEST} levels deep", self._text, start)
        result = parse()
        self._depth -= 1
        return result

    def _located(
        self, scan: Callable[[str, int], tuple[Value, int]], start: int, *, member: bool
    ) -> Callable[[str, int], tuple[Node, int]]:
        """Wrap a container's scanner of values; a member's key is what follows the value before it."""
        cursor = start

        def scan_node(text: str, index: int) -> tuple[Node, int]:
            nonlocal cursor
            line = self._line(self._next_item(cursor)) if member else self._line(index)
            self.last_line = self._line(index)
            value, cursor = scan(text, index)
            quoted = text[index : index + 1] in {'"', "'"}
            self._remember(value, self.last_line, quoted=quoted)
            return Node(value=value, line=line, value_line=self._line(index), quoted=quoted), cursor

        return scan_node

    def _next_item(self, index: int) -> int:
        char, index = getNext(self._text, index)
        return int(getNext(self._text, index + 1)[1] if char == "," else index)

    def _line(self, index: int) -> int:
        """Line of a character in the user's file: the newline in front is ours."""
        return bisect_left(self._newlines, index)

    def _remember(self, value: Value, line: int, *, quoted: bool) -> None:
        swallowed = isinstance(value, str) and not quoted and ("]" in value or "}" in value)
        if swallowed and self._suspect is None:
            self._suspect = (line, str(value))
