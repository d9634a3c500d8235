"""`magma-remote status`: how the campaign stands."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.live import Live

from magma_remote.adapters.hjson_file import parse_hjson
from magma_remote.cli.beside import Beside, beside, print_json
from magma_remote.cli.settings import SETTINGS
from magma_remote.cli.status_json import members
from magma_remote.cli.status_view import view
from magma_remote.errors import ConfigError, NoCampaignError, UsageError
from magma_remote.model.campaign_file import read_campaign
from magma_remote.runtime.dispatcher.operations import campaign_of
from magma_remote.runtime.dispatcher.standing import read_standing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

    from rich.console import RenderableType

    from magma_remote.model.standing import Standing

_EVERY = 2.0
_ANY_WIDTH = 100_000  # a file or a pipe loses nothing


@click.command(short_help="Show how the campaign stands.")
@click.option("--watch", is_flag=True, help="Draw it again every 2 s, until it has ended or you press Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@SETTINGS
def status(*, watch: bool, as_json: bool, settings: Path | None) -> None:
    """Show how the campaign stands: jobs, workers, bugs, and what needs you.

    \b
    Examples:
      magma-remote status --watch
      magma-remote status --json | jq .counts

    Exit code 2 where no campaign was dispatched yet; --json then says that campaign is null.
    """
    if watch and (as_json or not sys.stdout.isatty()):
        raise UsageError("--watch draws on a terminal: leave it out for a pipe, a file or --json")
    try:
        _show(settings, watch=watch, as_json=as_json)
    except NoCampaignError:
        if as_json:
            print_json({"campaign": None})
        raise


def _show(settings: Path | None, *, watch: bool, as_json: bool) -> None:
    with beside(settings) as place:
        demands = _demands(place)
        if as_json:
            print_json(members(_read(place, demands), dispatched=place.is_dispatched()))
            return
        terminal = sys.stdout.isatty()
        console = Console(width=None if terminal else _ANY_WIDTH, highlight=False, markup=False, emoji=False)
        if watch:
            _watch(place, demands, console)
        drawn = _draw(place, _read(place, demands), bar=terminal)
        if terminal:
            console.print(drawn)
        else:
            _print_plain(console, drawn)


def _print_plain(console: Console, drawn: RenderableType) -> None:
    """Without the blanks that fill a table's columns."""
    with console.capture() as captured:
        console.print(drawn)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def _read(place: Beside, demands: Mapping[str, int]) -> Standing:
    return read_standing(place.ledger, time.time(), demands=demands)


def _draw(place: Beside, standing: Standing, *, bar: bool) -> RenderableType:
    return view(standing, place.settings.workdir, dispatched=place.is_dispatched(), bar=bar)


def _demands(place: Beside) -> Mapping[str, int]:
    """How many CPUs a trial of each fuzzer needs: what the ledger keeps of the campaign file tells."""
    try:
        campaign = read_campaign(parse_hjson(campaign_of(place.ledger).text.encode()), tree=None)
    except ConfigError:  # of another release
        return {}
    return {fuzzer: campaign.workers_for(fuzzer) for fuzzer in campaign.fuzzers}


def _watch(place: Beside, demands: Mapping[str, int], console: Console) -> None:
    """Draw until the campaign has ended or somebody does not want to look any more."""
    with _ending(), Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            standing = _read(place, demands)
            live.update(_draw(place, standing, bar=True), refresh=True)
            if standing.campaign.ended_at is not None:
                return
            time.sleep(_EVERY)


@contextmanager
def _ending() -> Iterator[None]:
    """End the block at SIGINT, SIGTERM and SIGHUP with the terminal left as it was."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
