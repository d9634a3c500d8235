"""A report's first table on a terminal: each fuzzer on all targets together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from magma_remote.cli.wide import console_for
from magma_remote.model.plain import plain
from magma_remote.report.repeats import Kind
from magma_remote.report.views import distinct, ranking

if TYPE_CHECKING:
    from typing import TextIO

    from magma_remote.report.figures import Cell, Report


def print_counts(report: Report, stream: TextIO) -> None:
    """Bugs triggered per repeat, with what is behind each mean."""
    console_for(stream, _table(report, whys=False)).print(_table(report))


def _table(report: Report, *, whys: bool = True) -> Table:
    """Reasons why there is no mean may be long, and may be broken; nothing else may."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("fuzzer", "bugs a repeat", "triggered", "reached", "repeats"):
        table.add_column(name, justify="left" if name == "fuzzer" else "right", no_wrap=name != "bugs a repeat")
    for fuzzer in ranking(report):
        cell = report.overall.cell(fuzzer)
        if cell:
            found = (distinct(cell, Kind.TRIGGERED), distinct(cell, Kind.REACHED))
            partly = f", {cell.partly} watched in part" if cell.partly else ""
            mean = _mean(cell) if whys or cell.n else ""
            table.add_row(plain(fuzzer), mean, *found, f"{cell.n} of {cell.expected}{partly}")
    return table


def _mean(cell: Cell) -> str:
    spread = cell.spread[Kind.TRIGGERED]
    if spread is None:
        return f"- ({cell.why})"
    return f"{spread.mean:.1f}" + ("" if spread.sd is None else f" ± {spread.sd:.1f}")
