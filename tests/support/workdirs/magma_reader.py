"""Reads a WORKDIR as Magma's own tools do: the facts that its exp2json relies on, written anew."""

from __future__ import annotations

import csv
import tarfile
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = dict[str, int]
Summary = dict[str, dict[str, dict[str, int]]]


def read_workdir(workdir: Path) -> Summary:
    """`F/T/P/RUN` → `reached` and `triggered` → bug → first stamp; every trial has at least one row."""
    return {trial: _first_stamps(rows) for trial, rows in _trials(workdir)}


def _trials(workdir: Path) -> Iterator[tuple[str, dict[int, Row]]]:
    for run in sorted((workdir / "ar").glob("*/*/*/*")):
        assert run.name.isdigit(), run
        with TemporaryDirectory() as unpacked:
            monitor = _monitor(run, Path(unpacked))
            rows = {int(file.name): _row(file) for file in monitor.iterdir() if file.name != "tmp"}
        yield run.relative_to(workdir / "ar").as_posix(), {stamp: row for stamp, row in rows.items() if row}


def _monitor(run: Path, unpacked: Path) -> Path:
    """The folder of the dumps: of the tarball, exactly one path in which ends in `monitor`, or as it is."""
    if not (run / "ball.tar").is_file():
        return run / "monitor"
    with tarfile.open(run / "ball.tar") as tar:
        ends = [name for name in tar.getnames() if name.endswith("monitor")]
        assert ends == ["./monitor"]
        tar.extractall(unpacked, [m for m in tar.getmembers() if m.name.startswith("./monitor")], filter="data")
    return unpacked / "monitor"


def _row(file: Path) -> Row:
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert len(rows) <= 1, file
    return {key: int(value) for row in rows for key, value in row.items()}


def _first_stamps(rows: dict[int, Row]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {"reached": {}, "triggered": {}}
    seen: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for stamp, row in sorted(rows.items()):
        for column, count in row.items():
            if count > 0:
                seen[column].setdefault("first", stamp)
    for column, first in seen.items():
        kind = "reached" if column.endswith("_R") else "triggered"
        found[kind][column[:-2]] = first["first"]
    return found
