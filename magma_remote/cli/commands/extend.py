"""`magma-remote extend`: give a campaign further trials, for a dispatcher that is a service."""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from magma_remote.adapters import claims
from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.cli.aside import aside
from magma_remote.cli.beside import print_json
from magma_remote.cli.extending import check_there, extend_campaign
from magma_remote.cli.loading import MAGMA
from magma_remote.cli.settings import SETTINGS, load_dispatch
from magma_remote.cli.settings_check import LEDGER
from magma_remote.cli.supplying import request_of
from magma_remote.runtime.dispatcher.extending import check_extends
from magma_remote.runtime.dispatcher.opening import check_size
from magma_remote.runtime.logs import console, open_log
from magma_remote.runtime.preflight import check_names

if TYPE_CHECKING:
    from magma_remote.cli.loading import Loaded
    from magma_remote.model.campaign_request import CampaignRequest
    from magma_remote.model.settings import DispatcherSettings
    from magma_remote.runtime.dispatcher.extending import Held


@click.command(short_help="Give the campaign in WORKDIR further trials, as `dispatch --extend` does first of all.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--check", is_flag=True, help="Change nothing: say what would be added, or why it is refused.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@SETTINGS
@MAGMA
@aside
def extend(*, file: Path | None, check: bool, as_json: bool, settings: Path | None, magma: Path | None) -> None:
    """Extend the campaign in WORKDIR to what FILE (or JOBS_CONFIG of the settings) asks for now, and run nothing.

    For a dispatcher that is a service: stop it, type this, start it again. FILE may have a larger REPEAT, one more
    fuzzer, target or program; what would make trials incomparable is refused, and so is asking for less.

    \b
    Example:
      magma-remote extend campaign.hjson --settings dispatcher.hjson --check

    \b
    --json prints {"version": 1, "added": number of trials, "groups": ["N of FUZZER/TARGET/PROGRAM", …]}

    Exit code 2 if it is refused, 1 if an image cannot be made now: nothing has changed then.
    """
    chosen, loaded = load_dispatch(settings, file, magma)
    check_names(loaded.jobs)
    request = request_of(chosen, loaded)
    check_size(request, host=socket.gethostname(), workdir=str(chosen.workdir))
    check_there(chosen)
    found = _look(chosen, request) if check else _extend(chosen, loaded, request)
    if as_json:
        print_json({"added": len(found.added), "groups": list(found.groups)})
    elif check:
        click.echo(f"{len(found.added)} more jobs: {found.further}" if found.added else "Nothing more to run")


def _look(chosen: DispatcherSettings, request: CampaignRequest) -> Held:
    ledger = SqliteLedger.open_existing(chosen.workdir / LEDGER)
    try:
        return check_extends(ledger, request)
    finally:
        ledger.close()


def _extend(chosen: DispatcherSettings, loaded: Loaded, request: CampaignRequest) -> Held:
    with ExitStack() as held:
        held.enter_context(claims.workdir_lock(chosen.workdir, task="extend"))
        held.enter_context(open_log(chosen.workdir / "log" / "dispatcher.jsonl"))
        held.enter_context(console(sys.stderr))
        ledger = SqliteLedger.open_existing(chosen.workdir / LEDGER, read_only=False)
        held.callback(ledger.close)
        return extend_campaign(chosen, loaded, request, ledger)
