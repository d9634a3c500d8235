"""A small lexer of Bash: words, assignments, operators and comments of a text that is never executed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from ..errors import ConfigError, Problem

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\[[^\]\n]*\])?(\+?=)", re.ASCII)
_OPERATOR = re.compile(r"&&|\|\||;;|<<<|<<|>>|[;&|<>()]")
_META = " \t\n;&|<>()"
_EXPANSION = re.compile(r"\$(?:[A-Za-z0-9_({\[@*#?$!\"'-]|\\\n)")  # with a name that goes on in the next line
_PAIRS = {"{": "}", "(": ")", "[": "]"}


class Kind(Enum):
    """What a token is."""

    WORD = "word"
    ASSIGNMENT = "assignment"
    OPERATOR = "operator"
    NEWLINE = "newline"
    COMMENT = "comment"


@dataclass(frozen=True, kw_only=True)
class Token:
    """One piece of a Bash text; `raw` is it as written, `line` counts from 1.

    `text` is a word's value after quoting, or a comment's words. `unknown` holds the part that only Bash
    could evaluate (a variable, a command, a pattern), else it is empty. An assignment has `name`, and
    `array` with its elements where it is `NAME=(…)`, and the comments that stand inside the parentheses.
    """

    kind: Kind
    raw: str
    line: int
    text: str = ""
    unknown: str = ""
    name: str = ""
    array: tuple[str, ...] | None = None
    comments: tuple[str, ...] = ()


def tokens(text: str) -> list[Token]:
    """All tokens of a text; ConfigError with the line where it cannot be read."""
    return list(_Lexer(text).run())


class _Lexer:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        if "\r\n" in text:
            raise self._error("Windows line ends (CRLF), which Bash takes as text", text.index("\r\n"))

    def run(self) -> list[Token]:
        """Read to the end."""
        found = []
        while (token := self._next()) is not None:
            found.append(token)
        return found

    def _error(self, found: str, at: int) -> ConfigError:
        return ConfigError([Problem(key="", found=found, allowed="", line=self._line(at))])

    def _line(self, at: int) -> int:
        return self._text.count("\n", 0, at) + 1

    def _token(self, kind: Kind, start: int, **values: object) -> Token:
        raw = self._text[start : self._at]
        return Token(kind=kind, raw=raw, line=self._line(start), **values)  # type: ignore[arg-type]  # our fields

    def _skip_blanks(self) -> None:
        while self._text.startswith((" ", "\t", "\\\n"), self._at):
            self._at += 2 if self._text[self._at] == "\\" else 1

    def _next(self) -> Token | None:
        self._skip_blanks()
        start = self._at
        if start >= len(self._text):
            return None
        if self._text[start] == "\n":
            self._at += 1
            return self._token(Kind.NEWLINE, start)
        if self._text[start] == "#":
            return self._token(Kind.COMMENT, start, text=self._comment())
        if operator := _OPERATOR.match(self._text, start):
            self._at = operator.end()
            if operator[0] == "<<":
                raise self._error("a here-document, which cannot be read here", start)
            return self._token(Kind.OPERATOR, start, text=operator[0])
        return self._assignment() or self._plain_word()

    def _comment(self) -> str:
        """The comment's text after its `#`; the end of the line stays."""
        start = self._at
        end = self._text.find("\n", start)
        self._at = len(self._text) if end < 0 else end
        return self._text[start + 1 : self._at]

    def _plain_word(self) -> Token:
        start = self._at
        text, unknown = self._word(patterns=True)
        return self._token(Kind.WORD, start, text=text, unknown=unknown)

    def _assignment(self) -> Token | None:
        start = self._at
        match = _ASSIGNMENT.match(self._text, start)
        if match is None:
            return None
        self._at = match.end()
        partly = match[0] if match[2] or match[3] == "+=" else ""
        if self._text.startswith("(", self._at):
            array, comments, unknown = self._array()
            return self._token(
                Kind.ASSIGNMENT,
                start,
                name=match[1],
                array=array,
                comments=comments,
                unknown=partly or unknown,
            )
        text, unknown = self._word(patterns=False)
        return self._token(Kind.ASSIGNMENT, start, name=match[1], text=text, unknown=partly or unknown)

    def _array(self) -> tuple[tuple[str, ...], tuple[str, ...], str]:
        """Elements, comments and what is unknown of `(…)`."""
        start = self._at
        self._at += 1
        elements: list[str] = []
        comments: list[str] = []
        unknown = ""
        while True:
            self._skip_blanks()
            char = self._text[self._at : self._at + 1]
            if char == ")":
                self._at += 1
                if self._text[self._at : self._at + 1].strip(_META):
                    raise self._error("a list with text right behind its )", self._at)
                return tuple(elements), tuple(comments), unknown
            if char == "\n":
                self._at += 1
            elif char == "#":
                comments.append(self._comment())
            elif not char or char in _META:
                raise self._error("a list that has no closing )", start)
            else:
                text, odd = self._word(patterns=True)
                elements.append(text)
                unknown = unknown or odd

    def _word(self, *, patterns: bool) -> tuple[str, str]:
        """Value and unknown part of the word here; `patterns`: Bash would expand `*` and `{a,b}` in it."""
        parts: list[str] = []
        unknown = ""
        first = self._at
        while self._at < len(self._text) and self._text[self._at] not in _META:
            char = self._text[self._at]
            part, odd = self._piece(char)
            if not odd and ((patterns and char in "*?[{") or (char == "~" and self._at - 1 == first)):
                odd = char
            parts.append(part)
            unknown = unknown or odd
        return "".join(parts), unknown

    def _piece(self, char: str) -> tuple[str, str]:
        """One character, escape, quotation or expansion outside quotes: its value, or what is unknown."""
        if char == "'":
            return self._single_quoted(), ""
        if char == '"':
            return self._double_quoted()
        if char == "\\":
            return self._escaped(), ""
        if char == "`" or _EXPANSION.match(self._text, self._at):
            return "", self._expansion()
        self._at += 1
        return char, ""

    def _escaped(self) -> str:
        r"""What `\x` stands for outside quotes; a line's end is dropped."""
        self._at += 2
        char = self._text[self._at - 1 : self._at]
        return "" if char == "\n" else char or "\\"

    def _single_quoted(self) -> str:
        start = self._at
        end = self._text.find("'", start + 1)
        if end < 0:
            raise self._error("a quotation that has no closing '", start)
        self._at = end + 1
        return self._text[start + 1 : end]

    def _double_quoted(self) -> tuple[str, str]:
        start = self._at
        self._at += 1
        parts: list[str] = []
        unknown = ""
        while (char := self._text[self._at : self._at + 1]) != '"':
            if not char:
                raise self._error('a quotation that has no closing "', start)
            following = self._text[self._at + 1 : self._at + 2]
            quote_end = char == "$" and following in {'"', "'"}
            if char == "\\" and following and following in '"\\$`\n':
                parts.append(self._escaped())
            elif char == "`" or (_EXPANSION.match(self._text, self._at) and not quote_end):
                unknown = unknown or self._expansion()
            else:
                parts.append(char)
                self._at += 1
        self._at += 1
        return "".join(parts), unknown

    def _expansion(self) -> str:
        """Skip `$x`, `${…}`, `$(…)` or a command in backquotes; its text as written."""
        start = self._at
        opening = self._text[start + 1 : start + 2]
        if self._text[start] == "`":
            self._at = self._text.find("`", start + 1) + 1
            if not self._at:
                raise self._error("a command that has no closing `", start)
        elif opening in _PAIRS:
            self._skip_balanced(opening, _PAIRS[opening])
        elif opening in {"'", '"'}:
            self._at += 1
            self._piece(opening)
        else:
            self._at += 2
            while re.match(r"\w", self._text[self._at : self._at + 1], re.ASCII):
                self._at += 1
        return self._text[start : self._at]

    def _skip_balanced(self, opening: str, closing: str) -> None:
        start, depth = self._at, 0
        self._at += 1
        while True:
            char = self._text[self._at : self._at + 1]
            if not char:
                raise self._error(f"an expansion that has no closing {closing}", start)
            if char == "'":
                self._single_quoted()
                continue
            self._at += 2 if char == "\\" else 1
            depth += (char == opening) - (char == closing)
            if depth == 0:
                return
