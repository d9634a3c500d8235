"""`magma-remote dispatch`: a campaign on all workers of a queue."""

from __future__ import annotations

import logging
import os
import socket
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from magma_remote.adapters import claims
from magma_remote.adapters.beanstalk import BeanstalkQueue
from magma_remote.adapters.clock import SystemClock
from magma_remote.adapters.crew import ThreadCrew
from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.adapters.ssh import Ssh
from magma_remote.adapters.transfer import transfer_for
from magma_remote.adapters.transfer_local import copy_result
from magma_remote.cli.aside import aside
from magma_remote.cli.extending import check_there, extend_campaign
from magma_remote.cli.loading import MAGMA
from magma_remote.cli.provenance import note_tree, tell_dispatched
from magma_remote.cli.settings import SETTINGS, load_dispatch
from magma_remote.cli.settings_check import LEDGER
from magma_remote.cli.supplying import make_folder, request_of, supply_for
from magma_remote.errors import (
    BusyError,
    EngineGoneError,
    LedgerAwayError,
    QueueGoneError,
    RegistryError,
    StorageError,
)
from magma_remote.model.entries import CampaignEntry, CampaignState, JobState
from magma_remote.model.layout import Workdir
from magma_remote.runtime.dispatcher.dispatcher import Dispatcher, Seat
from magma_remote.runtime.dispatcher.opening import begin, check_size, resume
from magma_remote.runtime.dispatcher.results import MergedResults
from magma_remote.runtime.dispatcher.slot import refuse_other
from magma_remote.runtime.logs import console, open_log
from magma_remote.runtime.preflight import check_names
from magma_remote.runtime.signals import on_stop, outlast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from magma_remote.cli.loading import Loaded
    from magma_remote.model.campaign_request import CampaignRequest
    from magma_remote.model.settings import DispatcherSettings
    from magma_remote.ports import Ledger

_MOST_MISSING = 20
_AWAY = (BusyError, EngineGoneError, LedgerAwayError, QueueGoneError, RegistryError, StorageError)

log = logging.getLogger(__name__)


@click.command(short_help="Run a campaign on all workers of a queue.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--force", is_flag=True, help="End the campaign that is active on this queue, if there is one, first.")
@click.option("--extend", is_flag=True, help="Run what FILE asks for beyond the campaign in WORKDIR, into the same.")
@SETTINGS
@MAGMA
@aside
def dispatch(*, file: Path | None, force: bool, extend: bool, settings: Path | None, magma: Path | None) -> None:
    """Run the campaign FILE (or JOBS_CONFIG of the settings) on all workers of the queue.

    Puts its jobs into the queue, fetches, verifies and merges the results into WORKDIR, sends failed jobs out again
    and ends when every job is done or dead. Killed at any moment, the same command goes on where it was.

    \b
    Example:
      magma-remote dispatch campaign.hjson --settings dispatcher.hjson

    A campaign can be extended: with --extend the same file may have a larger REPEAT, one more fuzzer, target or
    program. Only that is run; what would make trials incomparable is refused.

    With REGISTRY in the settings all images are built and pushed there first, as `magma-remote images` does it.

    Exit code 1 if any trial is missing, 2 if the campaign cannot run as asked, 75 if something is only away now (the
    queue, room on a disk; Docker Engine, the registry or CPUs for a build, where an image is yet to be made): the same
    command may do a moment later.
    """
    chosen, loaded = load_dispatch(settings, file, magma)
    check_names(loaded.jobs)
    request = request_of(chosen, loaded)
    check_size(request, host=socket.gethostname(), workdir=str(chosen.workdir))
    if extend:
        check_there(chosen)
    with _away_for_now():
        code = _dispatch(chosen, loaded, request, force=force, extend=extend)
    sys.exit(code)


@contextmanager
def _away_for_now() -> Iterator[None]:
    """A service is started again for what may be well in a moment, and for nothing else."""
    try:
        yield
    except _AWAY as error:
        error.exit_code = os.EX_TEMPFAIL
        raise


def _dispatch(
    chosen: DispatcherSettings, loaded: Loaded, request: CampaignRequest, *, force: bool, extend: bool
) -> int:
    queue = BeanstalkQueue(chosen.queue.target)
    with ExitStack() as held:
        held.callback(queue.close)
        _refuse_other(queue, chosen.workdir / LEDGER, force=force)
        make_folder(chosen.workdir)
        held.enter_context(claims.workdir_lock(chosen.workdir))
        held.enter_context(open_log(chosen.workdir / "log" / "dispatcher.jsonl"))
        held.enter_context(console(sys.stderr))
        ledger = SqliteLedger(chosen.workdir / LEDGER)
        held.callback(ledger.close)
        if extend:
            extend_campaign(chosen, loaded, request, ledger)
        campaign = _open(ledger, request)
        note_tree(chosen.workdir, loaded.root, request.tree, ledger)
        supply, restocking = supply_for(chosen, loaded, ledger)
        if supply:  # builds may have taken hours
            _refuse_other(queue, chosen.workdir / LEDGER, force=force)
        make_folder(chosen.temp_results)
        crew = ThreadCrew(chosen.fetches)
        held.callback(crew.close)
        dispatcher = Dispatcher(
            _seat(chosen, loaded),
            ledger=ledger,
            queue=queue,
            results=_results(chosen),
            crew=crew,
            clock=SystemClock(),
            supply=supply,
            restocking=restocking,
        )
        outlast()
        _run(dispatcher, campaign, held)
        tell_dispatched(chosen.workdir, ledger)
        return _summary(ledger, chosen.workdir)


def _seat(chosen: DispatcherSettings, loaded: Loaded) -> Seat:
    demands = {fuzzer: loaded.campaign.workers_for(fuzzer) for fuzzer in loaded.campaign.fuzzers}
    return Seat(host=socket.gethostname(), workdir=str(chosen.workdir), ttr=chosen.ttr, demands=demands)


def _refuse_other(queue: BeanstalkQueue, ledger: Path, *, force: bool) -> None:
    ours = ""
    if ledger.exists():
        known = SqliteLedger.open_existing(ledger)
        campaign = known.campaign()
        known.close()
        ours = campaign.config_id if campaign else ""
    if force:
        queue.server()  # a queue that is not there is told before anything is made
    else:
        refuse_other(queue, ours)


def _open(ledger: Ledger, request: CampaignRequest) -> CampaignEntry:
    known = ledger.campaign()
    campaign = resume(ledger, known, request) if known else begin(ledger, request, SystemClock().now())
    counts = ledger.counts()
    settled = counts[JobState.DONE] + counts[JobState.DEAD]
    asked = len(request.jobs)
    how = f"goes on: {settled} of {asked} jobs are settled" if known else f"begins: {asked} jobs"
    log.info("campaign %s (%s) %s", campaign.config_id, campaign.source, how)
    return campaign


def _results(chosen: DispatcherSettings) -> MergedResults:
    ssh = Ssh(key=chosen.ssh_key, known_hosts=chosen.ssh_known_hosts)
    return MergedResults(
        temp=chosen.temp_results,
        workdir=Workdir(chosen.workdir),
        transfer=transfer_for(chosen.copy_type, ssh),
        copy=copy_result,
    )


def _run(dispatcher: Dispatcher, campaign: CampaignEntry, held: ExitStack) -> None:
    """Until the end, or a signal: the campaign goes on without us meanwhile."""
    stopped: list[str] = []
    with on_stop(stopped.append):
        dispatcher.open()
        click.echo("Type `magma-remote status --watch` on this host to see how it goes.", err=True)
        dispatcher.run(until=lambda: bool(stopped))
    if not dispatcher.finished:
        log.info("stopped by %s; fetches that have begun are finished; once more leaves them as they are", stopped[0])
        with on_stop(_leave_at_once):
            held.close()
        click.echo(
            f"Campaign {campaign.config_id} goes on: workers run what is queued, and keep their results. Type the "
            "same command to go on, or `magma-remote cancel` to end it.",
            err=True,
        )
        sys.exit(1)


def _leave_at_once(_name: str) -> None:
    """For the second signal: what is fetched by halves goes on from there the next time."""
    os._exit(1)


def _summary(ledger: Ledger, workdir: Path) -> int:
    """Print what there is and what is missing; the exit code."""
    counts = ledger.counts()
    total = sum(counts.values())
    campaign = ledger.campaign()
    dead = list(ledger.jobs(JobState.DEAD, limit=_MOST_MISSING))
    cancelled = campaign is not None and campaign.state is CampaignState.CANCELLED
    click.echo(
        f"{'Cancelled' if cancelled else 'Ended'}: {counts[JobState.DONE]} of {total} trials are in {workdir}; "
        "`magma-remote status` lists their bugs."
    )
    for entry in dead:
        reason = entry.reason.value if entry.reason else "unknown"
        click.echo(f"  missing: {entry.job}  ({reason}: {entry.message}; {entry.attempts} attempts)")
    if counts[JobState.DEAD] > len(dead):
        click.echo(f"  and {counts[JobState.DEAD] - len(dead)} more: `magma-remote graveyard list` names all")
    if dead:
        click.echo(
            "`magma-remote logs JOB` shows why, `magma-remote graveyard requeue JOB` and this command try again."
        )
    return 1 if dead else 0
