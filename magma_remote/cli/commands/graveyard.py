"""`magma-remote graveyard`: jobs that failed, and what to do with them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from magma_remote.cli.attempts import job_json, job_lines
from magma_remote.cli.beside import DISPATCH, Beside, beside, print_json
from magma_remote.cli.progress import trial_label
from magma_remote.cli.settings import SETTINGS
from magma_remote.errors import UsageError
from magma_remote.model.entries import JobState
from magma_remote.runtime.dispatcher import operations
from magma_remote.runtime.workdir.entering import give_up

if TYPE_CHECKING:
    from magma_remote.model.jobs import Job
    from magma_remote.runtime.dispatcher.operations import Changes, Grave

_SHOWN = 20  # jobs that are named one by one


@click.group(short_help="Jobs that failed: list them, let them run again, give them up.")
def graveyard() -> None:
    """Jobs that failed: list them, let them run again, give them up.

    A JOB is named by its number, or by its text in quotes: 'repeat,fuzzer,target,program args,fuzzargs'.
    """


@graveyard.command("list")
@click.option("--tail", is_flag=True, help="Show the end of each attempt's log, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@SETTINGS
def list_jobs(*, tail: bool, as_json: bool, settings: Path | None) -> None:
    """List jobs that are dead or have failed at least once, each with its attempts."""
    with beside(settings) as place:
        found = operations.graves(place.ledger)
        names = place.worker_names()
        if as_json:
            config_id = operations.campaign_of(place.ledger).config_id
            jobs = [job_json(grave.entry, grave.runs, names, config_id) for grave in found]
            print_json({"config_id": config_id, "jobs": jobs})
            return
        for grave in found:
            for line in job_lines(grave.entry, grave.runs, names, tail=tail):
                click.echo(line)
        click.echo(_summary(found))


def _summary(found: tuple[Grave, ...]) -> str:
    if not found:
        return "No job has failed."
    dead = sum(grave.entry.state is JobState.DEAD for grave in found)
    others = f"{len(found) - dead} failed and went on"
    if not dead:
        return f"No job is dead, {others}."
    return f"{dead} dead, {others}. `magma-remote graveyard requeue --all` lets the dead ones run again."


@graveyard.command()
@click.argument("jobs", metavar="[JOB]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All dead jobs.")
@SETTINGS
def requeue(jobs: tuple[str, ...], *, every: bool, settings: Path | None) -> None:
    """Let dead jobs run again as if they never had.

    A JOB that is done runs again, too, where its result was lost: where its folder in WORKDIR/ar is gone. One that is
    damaged is moved away by you first.

    \b
    Examples:
      magma-remote graveyard requeue 12 17
      magma-remote graveyard requeue --all

    Exit code 1 if any JOB could not be requeued.
    """
    if every == bool(jobs):
        raise UsageError("say which: graveyard requeue JOB..., or graveyard requeue --all")
    with beside(settings, read_only=False) as place:
        numbers = None if every else operations.find_jobs(place.ledger, jobs)
        changes = operations.requeue(place.ledger, numbers, give_up=partial(_give_up, place))
        _tell(changes, "requeued")
        if changes.changed:
            _what_next(place, changes)
    _end(changes)


def _give_up(place: Beside, job: Job) -> str:
    """See `give_up`; BusyError where another command may be about to enter a result of that job."""
    place.refuse_second()
    return give_up(place.workdir, job)


def _what_next(place: Beside, changes: Changes) -> None:
    if changes.reopened:
        click.echo(f"The campaign had ended: type {DISPATCH} again to run them.")
    elif not place.is_dispatched():
        click.echo(f"No dispatcher runs: type {DISPATCH} to run them.")


@graveyard.command()
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@SETTINGS
def drop(jobs: tuple[str, ...], settings: Path | None) -> None:
    """Give jobs up for good: what runs of them is stopped, and they count as dead.

    \b
    Example:
      magma-remote graveyard drop 12 '0,afl,libpng,libpng_read_fuzzer,'

    Exit code 1 if any JOB could not be dropped.
    """
    with beside(settings, read_only=False) as place:
        changes = operations.drop(place.ledger, operations.find_jobs(place.ledger, jobs))
    _tell(changes, "dropped")
    _end(changes)


def _tell(changes: Changes, done: str) -> None:
    for entry in changes.changed[:_SHOWN]:
        click.echo(f"{done} {entry.number}: {trial_label(entry.job)}")
    if len(changes.changed) > _SHOWN:
        click.echo(f"and {len(changes.changed) - _SHOWN} more: {len(changes.changed)} {done} in all")
    for entry, why in changes.refused:
        click.echo(f"not {done} {entry.number}: {trial_label(entry.job)}: {why}", err=True)
    if not changes.changed and not changes.refused:
        click.echo("No job is dead.")


def _end(changes: Changes) -> None:
    if changes.refused:
        raise click.exceptions.Exit(1)
