"""Reads what Magma's monitor leaves in SHARED while a trial runs and when it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magma_remote.model.canaries import Bugs, parse_row

if TYPE_CHECKING:
    from pathlib import Path


def stamps(shared: Path) -> list[int]:
    """Nominal seconds of all dumps, ascending; `tmp` and what is no number are left out."""
    try:
        names = [path.name for path in (shared / "monitor").iterdir()]
    except OSError:
        return []
    return sorted(int(name) for name in names if name.isascii() and name.isdecimal())


def is_monitored(shared: Path) -> bool:
    """Whether the monitor ran at all: a trial that reaches no canary has its storage file and no dump."""
    return bool(stamps(shared)) or (shared / "canaries.raw").is_file()


def bugs(shared: Path) -> Bugs:
    """Bugs of the newest dump that has a row: counts only ever grow."""
    for stamp in reversed(stamps(shared)):
        try:
            row = parse_row((shared / "monitor" / str(stamp)).read_text(errors="replace"))
        except OSError:
            continue
        if row:
            return Bugs.of(row)
    return Bugs()
