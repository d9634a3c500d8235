"""`magma-remote collect`: what is left on workers, and what there is of a campaign."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from magma_remote.adapters import claims
from magma_remote.adapters.beanstalk import BeanstalkQueue
from magma_remote.adapters.clock import SystemClock
from magma_remote.adapters.crew import ThreadCrew
from magma_remote.adapters.ssh import Ssh
from magma_remote.adapters.transfer import LocalFirst, transfer_for
from magma_remote.adapters.transfer_local import LocalTransfer, copy_result, is_here
from magma_remote.cli.aside import aside
from magma_remote.cli.beside import Beside, beside, print_json
from magma_remote.cli.collect_view import lines, members
from magma_remote.cli.provenance import tell_dispatched
from magma_remote.cli.settings import SETTINGS
from magma_remote.errors import MagmaRemoteError, QueueError, StorageError, UsageError
from magma_remote.model.document import show
from magma_remote.model.site import FORM, SSH_PORT, Site, parse_site
from magma_remote.runtime.collecting.collecting import Collecting, is_settled
from magma_remote.runtime.collecting.handing import Handing
from magma_remote.runtime.collecting.leftovers import Found, find, known_sites, worker_names
from magma_remote.runtime.collecting.stock import take_stock
from magma_remote.runtime.dispatcher.operations import campaign_of
from magma_remote.runtime.dispatcher.results import MergedResults
from magma_remote.runtime.logs import open_log
from magma_remote.runtime.signals import on_stop
from magma_remote.runtime.workdir.entering import is_entered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from magma_remote.model.entries import JobEntry, WorkerEntry

_STOPPED = "stopped; what has begun is finished, once more leaves at once: the same command goes on from there"


@click.command(short_help="Fetch what is left on workers, and say what is there and what is missing.")
@click.option("--worker", "workers", multiple=True, metavar=FORM, help="A worker to look at, too; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@SETTINGS
@aside
def collect(*, workers: tuple[str, ...], as_json: bool, settings: Path | None) -> None:
    """Fetch results that are left on workers, verify and merge them, and say what of the campaign is there.

    On the dispatcher's host, at any time, and again: each run changes only what is new. Workers need no service for
    it, only ssh; those are looked at that have told of results, and those that --worker names. A dispatcher that runs
    is handed what is found, and does the fetching.

    \b
    Example:
      magma-remote collect --worker magma@192.0.2.7:/var/lib/magma-remote/worker/workdirs

    \b
    --json prints {"version": 1, "workdir", "state": "open"|"cancelled"|"ended", "ended": whether it has,
      "total", "complete": numbers of jobs, "fetched": [job] that are new in this run,
      "missing": [{"job", "reason", "message"}], "unreachable": [{"worker", "message"}],
      "groups": [{"fuzzer", "target", "program", "complete", "total"}]}

    Exit code 0 if every trial is there, 1 if any is missing or another command has WORKDIR now, 2 if no campaign was
    dispatched yet.
    """
    given = [_site(text) for text in workers]
    with beside(settings, read_only=False) as place:
        campaign_of(place.ledger)
        place.refuse_second()
        stopped: list[str] = []

        def stop(name: str) -> None:
            if stopped:
                os._exit(1)
            stopped.append(name)
            _tell(_STOPPED)

        with on_stop(stop):
            found, brought = _collect(place, given, stopped)
            stock = take_stock(place.ledger, place.workdir, brought.why)
        if as_json:
            print_json(members(stock, found, brought.fetched, place.workdir))
        else:
            for line in lines(stock, found, brought.fetched, place.workdir, dispatched=place.is_dispatched()):
                click.echo(line)
    sys.exit(1 if stock.missing or stopped else 0)


@dataclass
class _Brought:
    fetched: list[JobEntry] = field(default_factory=list)
    why: dict[int, tuple[str, str]] = field(default_factory=dict)

    def add(self, part: Collecting | Handing) -> None:
        """What is fetched since is not missing any more."""
        done = {job.number: job for job in [*self.fetched, *part.fetched]}
        self.fetched = [job for _, job in sorted(done.items())]
        self.why = {number: why for number, why in (self.why | part.why).items() if number not in done}


def _site(text: str) -> Site:
    try:
        site = parse_site(text)
    except ValueError as error:
        raise UsageError(f"--worker {show(text)}: {error}") from error
    place = site.place
    token = LocalTransfer().token(place.workdirs) if place.port == SSH_PORT and is_here(place.host) else ""
    return replace(site, place=replace(place, token=token))


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _collect(place: Beside, given: Sequence[Site], stopped: list[str]) -> tuple[Found, _Brought]:
    transfer = transfer_for(
        place.settings.copy_type, Ssh(key=place.settings.ssh_key, known_hosts=place.settings.ssh_known_hosts)
    )
    found = _find(place, given, transfer, stopped)
    brought = _Brought()
    settled = bool(stopped)
    while not settled:
        with ExitStack() as held:
            if _is_ours(held, place):
                brought.add(_bring(place, found, transfer, stopped))
                return found, brought
            handing, settled = _hand(place, found, stopped)
            brought.add(handing)
        settled = settled or bool(stopped) or place.is_dispatched()
    return found, brought


def _is_ours(held: ExitStack, place: Beside) -> bool:
    """Take WORKDIR, if no dispatcher has it; BusyError where another command of ours does."""
    if _dispatcher_runs(place):
        return False
    try:
        held.enter_context(claims.workdir_lock(place.settings.workdir, task="collect"))
    except StorageError:
        if _dispatcher_runs(place):
            return False
        raise
    return True


def _dispatcher_runs(place: Beside) -> bool:
    place.refuse_second()
    return place.is_dispatched()


def _find(place: Beside, given: Sequence[Site], transfer: LocalFirst, stopped: list[str]) -> Found:
    known, mute = known_sites(place.ledger)
    names = {_address(site): site.name for site in known}
    named = [replace(site, name=names.get(_address(site), site.name)) for site in given]
    others = [site for site in known if _address(site) not in set(map(_address, given))]
    crew = ThreadCrew(place.settings.fetches)
    try:
        found = find([*named, *others], transfer, crew, place.ledger, lambda: bool(stopped))
    finally:
        crew.close()
    told = worker_names(place.ledger)
    unknown = {told[entry.worker]: why for entry in mute if not given and (why := _unknown(place, entry))}
    for name, message in (found.unreachable | unknown).items():
        _tell(f"{name}: {message}")
    for line in found.odd:
        _tell(line)
    return replace(found, unreachable=found.unreachable | unknown)


def _unknown(place: Beside, entry: WorkerEntry) -> str:
    """Why a worker that has never told of a result may have some that are not looked for; else empty."""
    if not entry.lost and (place.is_dispatched() or campaign_of(place.ledger).ended_at is not None):
        return ""
    what = "is lost" if entry.lost else "may have results that no dispatcher has heard of"
    return f"it {what}, and has never told where its results are: name it with --worker {FORM}"


def _address(site: Site) -> tuple[str, int, str]:
    return site.place.host, site.place.port, site.place.workdirs


def _bring(place: Beside, found: Found, transfer: LocalFirst, stopped: list[str]) -> Collecting:
    """With the ledger in our own hands."""
    settings, workdir = place.settings, place.workdir
    results = MergedResults(temp=settings.temp_results, workdir=workdir, transfer=transfer, copy=copy_result)
    crew = ThreadCrew(settings.fetches)
    with open_log(workdir.logs / "dispatcher.jsonl"):
        try:
            collecting = Collecting(
                place.ledger,
                is_there=partial(is_entered, workdir),
                results=results,
                crew=crew,
                clock=SystemClock(),
                tell=_tell,
                until=lambda: bool(stopped),
            )
            collecting.all(found.lefts)
        finally:
            crew.close()
        if is_settled(place.ledger) and not stopped:
            try:
                results.finish()
            except StorageError as error:
                _tell(str(error))
    tell_dispatched(workdir.root, place.ledger)
    return collecting


def _hand(place: Beside, found: Found, stopped: list[str]) -> tuple[Handing, bool]:
    """To the dispatcher that runs; whether it has settled all of it."""
    temp = place.settings.temp_results
    with closing(BeanstalkQueue(place.settings.queue.target)) as queue:
        handing = Handing(place.ledger, queue, SystemClock(), tell=_tell, size=lambda: _size(temp))
        try:
            handing.hand(found.lefts)
        except QueueError as error:
            raise MagmaRemoteError(
                f"{error}; what is found is to be handed to the dispatcher that runs here, through its queue: collect "
                "again when that is back, or when the dispatcher has ended"
            ) from error
        return handing, handing.wait(lambda: bool(stopped) or not _dispatcher_runs(place))


def _size(folder: Path) -> int:
    """Bytes below a folder that changes meanwhile."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 - thousands, each second
            except OSError:
                continue
    return total
