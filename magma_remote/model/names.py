"""Which names and argument texts can safely become folders, image tags and environment variables."""

from __future__ import annotations

import re

PLAIN_NAME = "a plain folder name (letters, digits, _ . + -)"
ONE_LINE = "one line of text, at most 65536 characters"
LONGEST_TEXT = 65536  # half of what Linux takes for one environment variable
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}", re.ASCII)


def is_plain_name(text: str) -> bool:
    """Whether `text` can be one path component and one field of a job's text form."""
    return _NAME.fullmatch(text) is not None


def is_one_line(text: str) -> bool:
    """Whether `text` can be handed on in an environment variable: no line end, no NUL, real characters."""
    return len(text) <= LONGEST_TEXT and not any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in text)  # noqa: PLR2004 - the first character after controls, and surrogates
