"""`magma-remote cancel`: end a campaign before its time."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from magma_remote.cli.beside import DISPATCH, Beside, beside
from magma_remote.cli.settings import SETTINGS
from magma_remote.errors import UsageError
from magma_remote.model.entries import CampaignState, JobState
from magma_remote.runtime.dispatcher import operations


@click.command(short_help="End a campaign; what is complete stays.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@SETTINGS
def cancel(*, yes: bool, settings: Path | None) -> None:
    """End the campaign before its time.

    What runs is stopped, what waits is never started; results that are complete are still fetched and stay in
    WORKDIR. `magma-remote graveyard requeue --all` takes it up again once it has ended.
    """
    with beside(settings, read_only=False) as place:
        if not yes:
            _ask(place)
        before = operations.cancel(place.ledger)
        already = before.state is CampaignState.CANCELLED
        click.echo(f"Campaign {before.config_id} ({before.source}) {'was' if already else 'is'} cancelled.")
        if place.is_dispatched():
            click.echo("Its dispatcher ends it within seconds: `magma-remote status --watch` shows it.")
        else:
            click.echo(f"No dispatcher runs: type {DISPATCH} to finish the cancelling.")


def _ask(place: Beside) -> None:
    if not sys.stdin.isatty():
        raise UsageError("cancel asks first, and nobody is at this terminal to answer: type it with --yes")
    campaign = operations.campaign_of(place.ledger)
    counts = place.ledger.counts()
    running = counts[JobState.RUNNING]
    waiting = counts[JobState.WAITING] + counts[JobState.QUEUED]
    click.echo(f"Campaign {campaign.config_id} ({campaign.source}): {running} jobs running, {waiting} waiting.")
    click.confirm("Stop the running ones and never start the others?", abort=True)
