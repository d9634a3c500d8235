"""What of a campaign is complete, partial and missing, as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HEAD = ("fuzzer", "target", "program", "complete", "")


def table(groups: Iterable[tuple[str, str, str, int, int]]) -> Iterator[str]:
    """A line for each fuzzer, target and program with its numbers of complete trials and of all, below a head."""
    rows: list[tuple[str, ...]] = [_HEAD]
    rows += [(*names, f"{complete} of {total}", _word(complete, total)) for *names, complete, total in groups]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _word(complete: int, total: int) -> str:
    if complete == total:
        return ""
    return "partial" if complete else "missing"
