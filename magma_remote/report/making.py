"""Writes the report: DIR/report.html and DIR/data/."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from magma_remote import __version__
from magma_remote.errors import StorageError
from magma_remote.report.analysis import analyse
from magma_remote.report.page import render
from magma_remote.report.tables import CSV_ONLY, EXPERIMENT, TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from magma_remote.model.experiment import Experiment
    from magma_remote.report.figures import Report

JSON_VERSION = 1
_STRANGE = "backslashreplace"  # the names of a foreign WORKDIR may be no text


@dataclass(frozen=True, kw_only=True)
class Made:
    """What was written, and the figures in it."""

    page: Path
    data: Path
    report: Report


def make_report(
    experiment: Experiment,
    folder: Path,
    *,
    title: str,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Made:
    """Write the page and its data into `folder`, made where it is missing; files of an earlier report are replaced.

    `on_progress` is told how many targets of how many are done. StorageError where it cannot be written.
    """
    report = analyse(experiment, on_progress)
    made = datetime.now(UTC)
    data, page = folder / "data", folder / "report.html"
    try:
        data.mkdir(parents=True, exist_ok=True)
        for name, table in TABLES.items():
            _write_csv(data / f"{name}.csv", table(report))
        _replace(data / "report.json", json.dumps(_as_json(report, title, made), indent=1, allow_nan=False) + "\n")
        _replace(data / EXPERIMENT, experiment.encode().decode() + "\n")
        _replace(page, render(report, title=title, made=made))
    except OSError as error:
        raise StorageError(f"{error.filename or folder}: {error.strerror}; the report could not be written") from error
    return Made(page=page, data=data, report=report)


def _as_json(report: Report, title: str, made: datetime) -> dict[str, Any]:
    experiment = report.experiment
    return {
        "version": JSON_VERSION,
        "magma_remote": __version__,
        "title": title,
        "made": made.isoformat(timespec="seconds"),
        "source": experiment.source,
        "settings": _plain(experiment.settings),
        "facts": _plain(experiment.facts),
        "problems": list(experiment.problems),
        "horizon": {"seconds": report.horizon.seconds, "is_timeout": report.horizon.known},
        "expected": experiment.expected,
        "trials": len(experiment.trials),
        "complete": report.complete,
        **{name: list(table(report)) for name, table in TABLES.items() if name not in CSV_ONLY},
    }


def _plain(members: Mapping[str, object]) -> Any:
    return json.loads(json.dumps(dict(members), default=str))


def _write_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Empty cells stand for None; a table without rows has a file that is empty."""
    beside = path.with_suffix(".tmp")
    with beside.open("w", encoding="utf-8", errors=_STRANGE, newline="") as stream:
        writer: csv.DictWriter[str] | None = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(stream, list(row), lineterminator="\n")
                writer.writeheader()
            writer.writerow(row)
    beside.replace(path)


def _replace(path: Path, text: str) -> None:
    beside = path.with_suffix(".tmp")
    beside.write_text(text, encoding="utf-8", errors=_STRANGE)
    beside.replace(path)
