"""What a Bash settings file sets, read without running it: assignments, commands, comments, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ..errors import ConfigError, Problem
from .bash_words import Kind, Token, tokens

_BLOCKS = {
    "if": "fi",
    "for": "done",
    "while": "done",
    "until": "done",
    "select": "done",
    "case": "esac",
    "{": "}",
}
_CLOSERS = {*_BLOCKS.values()}
_PREFIXES = {"then", "do", "else", "elif", "!", "time"}
_DECLARING = {"declare", "export", "local", "readonly", "typeset"}
_HARMLESS_FLAGS = set("agrtx")
_SEPARATORS = {"&&", "||", "|", "&", ";", ";;", "(", ")"}
_CONDITIONAL = {"&&", "||", "|", "&"}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """`NAME=text` (one value) or `NAME=(…)` (`array`).

    `unknown` names what keeps the value from being known: an expansion, or the block it stands in.
    """

    name: str
    values: tuple[str, ...]
    array: bool
    unknown: str
    line: int
    raw: str
    comments: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Command:
    """Anything that is no plain assignment; `words` are its words as written."""

    words: tuple[str, ...]
    line: int


@dataclass(frozen=True, kw_only=True)
class Comment:
    """A comment; `trailing` where it follows something on its line."""

    text: str
    line: int
    trailing: bool


@dataclass(frozen=True, kw_only=True)
class Blank:
    """An empty line."""

    line: int


Item: TypeAlias = Setting | Command | Comment | Blank


def read_bash(text: str) -> list[Item]:
    """Everything in file order; ConfigError with its line for a text that cannot be read."""
    return _Reader().read(tokens(text))


class _Reader:
    def __init__(self) -> None:
        self._items: list[Item] = []
        self._command: list[Token] = []
        self._blocks: list[tuple[str, str]] = []  # (what closes it, how it began)
        self._joined = ""
        self._empty = True  # whether nothing stands on this line so far

    def read(self, every: list[Token]) -> list[Item]:
        """Split tokens into commands, which end at a line's end or an operator."""
        for token in every:
            if token.kind is Kind.NEWLINE:
                self._end()
                if self._empty:
                    self._items.append(Blank(line=token.line))
                self._empty = True
                continue
            if token.kind is Kind.COMMENT:
                self._end()
                comment = Comment(text=token.text, line=token.line, trailing=not self._empty)
                self._items.append(comment)
            elif token.kind is Kind.OPERATOR and token.text in _SEPARATORS:
                self._separate(token)
            else:
                self._command.append(token)
            self._empty = False
        self._end()
        if self._blocks:
            closer, opener = self._blocks[-1]
            raise _refused(f"a {opener} that no {closer} closes", every[-1].line)
        return self._items

    def _separate(self, token: Token) -> None:
        operator = token.text
        if operator == "(" and self._command and self._command[-1].kind is Kind.ASSIGNMENT:
            raise _stray(token)
        self._joined = operator if operator in _CONDITIONAL else self._joined
        self._end()
        self._joined = operator if operator in _CONDITIONAL else ""
        if operator == "(":
            self._blocks.append((")", "("))
        elif operator == ")":
            self._close_bracket(token)

    def _close_bracket(self, token: Token) -> None:
        # a case's patterns end in ) too: what closes it is esac
        if not self._blocks or self._blocks[-1][0] not in {")", "esac"}:
            raise _stray(token)
        self._close(")")

    def _close(self, word: str) -> None:
        if self._blocks and self._blocks[-1][0] == word:
            self._blocks.pop()

    def _end(self) -> None:
        command, self._command = self._command, []
        while command and command[0].kind is Kind.WORD and self._reserved(command[0].raw):
            command = command[1:]
        if not command:
            return
        self._add(command)
        self._joined = ""

    def _reserved(self, word: str) -> bool:
        """Follow a word that opens or closes a block; whether a command may follow it."""
        if word in _BLOCKS:
            self._blocks.append((_BLOCKS[word], word))
        elif word in _CLOSERS:
            self._close(word)
        return word in _PREFIXES or word in _CLOSERS or word in _BLOCKS

    def _add(self, command: list[Token]) -> None:
        declaring = command[0].kind is Kind.WORD and command[0].text in _DECLARING
        rest = command[1:] if declaring else command
        flags = [t.raw for t in rest if t.kind is Kind.WORD and t.raw[0] in "-+"] if declaring else []
        names = [t for t in rest if t.kind is Kind.ASSIGNMENT]
        if not names or (not declaring and len(names) < len(rest)):
            self._items.append(Command(words=tuple(t.raw for t in command), line=command[0].line))
            return
        doubt = next((flag for flag in flags if flag[0] == "+" or set(flag[1:]) - _HARMLESS_FLAGS), "")
        self._items.extend(self._setting(token, doubt or self._doubt()) for token in names)

    def _doubt(self) -> str:
        if self._blocks:
            return f"inside {self._blocks[-1][1]}"
        return f"joined by {self._joined}" if self._joined else ""

    def _setting(self, token: Token, doubt: str) -> Setting:
        return Setting(
            name=token.name,
            values=(token.text,) if token.array is None else token.array,
            array=token.array is not None,
            unknown=token.unknown or doubt,
            line=token.line,
            raw=token.raw,
            comments=token.comments,
        )


def _stray(token: Token) -> ConfigError:
    return _refused(f"a {token.text} that Bash does not take here", token.line)


def _refused(found: str, line: int) -> ConfigError:
    return ConfigError([Problem(key="", found=found, allowed="", line=line)])
