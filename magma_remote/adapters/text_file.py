"""Reads a text that a user wrote; whatever the file holds, ConfigError at worst."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from magma_remote.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 256 * 1024  # Hjson's library takes quadratic time on some texts, and no campaign is this long


def read_bytes(path: Path) -> bytes:
    """A file's bytes; ConfigError, with the path as its source, where it cannot be read or is too long."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise refused(f"the file cannot be read: {reason}", str(path)) from error
    if len(data) > MOST_BYTES:
        raise refused("the file is too long", str(path), allowed=f"at most {MOST_BYTES // 1024} KiB")
    return data


def decode(data: bytes, source: str) -> str:
    """UTF-8 text without its byte order mark; ConfigError with the line of the first byte that is none."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise refused("not UTF-8 but UTF-16", source, 1, hint="save the file as UTF-8")
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"not UTF-8: byte 0x{error.object[error.start]:02x}"
        raise refused(found, source, line, hint="save the file as UTF-8") from error
    if "\0" in text:
        raise refused("a NUL byte", source, text.count("\n", 0, text.index("\0")) + 1, allowed="text")
    return text


def read_text(path: Path) -> str:
    """A file's text; ConfigError with the path as its source."""
    return decode(read_bytes(path), str(path))


def refused(found: str, source: str, line: int | None = None, *, allowed: str = "", hint: str = "") -> ConfigError:
    """An error about a file as a whole."""
    return ConfigError([Problem(key="", found=found, allowed=allowed, line=line, hint=hint)], source=source)
