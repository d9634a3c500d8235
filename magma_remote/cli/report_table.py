"""A report's first table on a terminal: each fuzzer on all targets together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from magma_remote.model.plain import plain
from magma_remote.report.repeats import Kind
from magma_remote.report.views import distinct, ranking

if TYPE_CHECKING:
    from typing import TextIO

    from magma_remote.report.figures import Cell, Report

_ANY_WIDTH = 100_000  # a file or a pipe loses nothing


def print_counts(report: Report, stream: TextIO) -> None:
    """Bugs triggered per repeat, with what is behind each mean."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("fuzzer", "bugs a repeat", "triggered", "reached", "repeats"):
        table.add_column(name, justify="left" if name == "fuzzer" else "right", no_wrap=name != "bugs a repeat")
    for fuzzer in ranking(report):
        cell = report.overall.cell(fuzzer)
        if cell:
            found = (distinct(cell, Kind.TRIGGERED), distinct(cell, Kind.REACHED))
            partly = f", {cell.partly} watched in part" if cell.partly else ""
            table.add_row(plain(fuzzer), _mean(cell), *found, f"{cell.n} of {cell.expected}{partly}")
    Console(file=stream, width=None if stream.isatty() else _ANY_WIDTH, highlight=False, markup=False).print(table)


def _mean(cell: Cell) -> str:
    spread = cell.spread[Kind.TRIGGERED]
    if spread is None:
        return f"- ({cell.why})"
    return f"{spread.mean:.1f}" + ("" if spread.sd is None else f" ± {spread.sd:.1f}")
