"""Text of other programs, made fit to be shown among lines of ours."""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[()][0-9A-Za-z])")


def plain(text: str) -> str:
    """A line without terminal codes, control characters and blanks at its end."""
    return "".join(char for char in _ESCAPE.sub("", text) if char.isprintable()).rstrip()
