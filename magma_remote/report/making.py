"""Writes the report: DIR/report.html and DIR/data/."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from magma_remote import __version__
from magma_remote.errors import StorageError
from magma_remote.model.campaign_file import left_out
from magma_remote.report.analysis import analyse
from magma_remote.report.page import render
from magma_remote.report.tables import CSV_ONLY, EXPERIMENT, TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from magma_remote.model.experiment import Experiment
    from magma_remote.report.figures import Report

JSON_VERSION = 1
PAGE = "report.html"
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

    Where there is no room for it (StorageError) the earlier report is still whole. `on_progress` is told how many
    targets of how many are done.
    """
    report = analyse(experiment, on_progress)
    data = folder / "data"
    try:
        data.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".new-", dir=folder, ignore_cleanup_errors=True) as beside:
            new = Path(beside)
            for name in _write_all(new, report, title):
                (new / name).replace(folder / name)
    except OSError as error:
        place = error.filename2 or (folder if data.is_dir() else data)
        raise StorageError(
            f"{place}: {error.strerror}; the report could not be written: make room there, or name another folder"
        ) from error
    return Made(page=folder / PAGE, data=data, report=report)


def _write_all(folder: Path, report: Report, title: str) -> list[str]:
    """All files of a report, and their names, the page's last."""
    made = datetime.now(UTC)
    (folder / "data").mkdir()
    for name, table in TABLES.items():
        _write_csv(folder / "data" / f"{name}.csv", table(report))
    texts = {
        "data/report.json": json.dumps(_as_json(report, title, made), indent=1, allow_nan=False) + "\n",
        f"data/{EXPERIMENT}": report.experiment.encode().decode() + "\n",
        PAGE: render(report, title=title, made=made),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", errors=_STRANGE)
    return [*(f"data/{name}.csv" for name in TABLES), *texts]


def _as_json(report: Report, title: str, made: datetime) -> dict[str, Any]:
    experiment = report.experiment
    return {
        "version": JSON_VERSION,
        "magma_remote": __version__,
        "title": title,
        "made": made.isoformat(timespec="seconds"),
        "source": experiment.source,
        "settings": _plain(experiment.settings),
        "settings_by_default": left_out(experiment.settings),
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
    with path.open("w", encoding="utf-8", errors=_STRANGE, newline="") as stream:
        writer: csv.DictWriter[str] | None = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(stream, list(row), lineterminator="\n")
                writer.writeheader()
            writer.writerow(row)
