"""`magma-remote logs`: what is known of one job, and its container's log."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from magma_remote.cli.attempts import job_lines
from magma_remote.cli.beside import Beside, beside
from magma_remote.cli.settings import SETTINGS
from magma_remote.errors import UsageError
from magma_remote.model.entries import JobState
from magma_remote.model.plain import plain
from magma_remote.runtime.dispatcher.operations import find_jobs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from magma_remote.model.entries import JobEntry


@click.command(short_help="Show a job's attempts, and the log of its container.")
@click.argument("job")
@SETTINGS
def logs(job: str, settings: Path | None) -> None:
    """Show the log of JOB's container where its result is in WORKDIR, else what is known of its attempts.

    JOB is its number, or its text in quotes: 'repeat,fuzzer,target,program args,fuzzargs'. The log goes to standard
    output, what is said about it to standard error.

    \b
    Examples:
      magma-remote logs 12
      magma-remote logs 12 > container.log
    """
    with beside(settings) as place:
        (number,) = find_jobs(place.ledger, (job,))
        entry = place.ledger.job(number)
        if entry is None:  # jobs are never removed
            raise UsageError(f"no job {number}")
        done = entry.state is JobState.DONE
        runs = place.ledger.runs(number=number)
        for line in [*job_lines(entry, runs, place.worker_names(), tail=not done), *_files(place, entry)]:
            click.echo(line, err=done)
        if done:
            _print_log(place.workdir.container_log(entry.job))
        elif not runs:
            click.echo("    it was not started yet")


def _files(place: Beside, entry: JobEntry) -> Iterator[str]:
    """Where logs are here: those of builds have the address of the worker that made the image."""
    found = [
        *place.workdir.logs.glob(place.workdir.build_log(entry.job.fuzzer, entry.job.target, "*").name),
        *[path for path in [place.workdir.container_log(entry.job)] if path.exists()],
    ]
    yield from (f"    log: {path}" for path in sorted(found))


def _print_log(path: Path) -> None:
    """Copy it as it is; on a terminal without what a fuzzer's terminal codes would do to it."""
    try:
        with path.open(encoding="utf-8", errors="backslashreplace", newline="") as file:
            if not sys.stdout.isatty():
                shutil.copyfileobj(file, sys.stdout)
                return
            for line in file:
                click.echo(plain(line))
    except FileNotFoundError as error:
        raise UsageError(f"{path} is not there: somebody has removed it") from error
