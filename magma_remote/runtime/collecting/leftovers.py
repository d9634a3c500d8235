"""Results that are left on workers: what their marks say, held against the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from magma_remote.errors import WireError
from magma_remote.model.entries import JobState, RunState
from magma_remote.model.mark import read_mark
from magma_remote.model.outcome import Reason
from magma_remote.model.plain import plain
from magma_remote.model.site import Site
from magma_remote.runtime.collecting.errands import Errands

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from magma_remote.model.entries import JobEntry, WorkerEntry
    from magma_remote.model.messages import Feedback
    from magma_remote.ports import Crew, Ledger, Marks

_UNWANTED = {Reason.DROPPED, Reason.CANCELLED}


@dataclass(frozen=True, kw_only=True)
class Left:
    """A complete result of one of our jobs on the worker that people call `name`."""

    name: str
    feedback: Feedback


@dataclass(frozen=True, kw_only=True)
class Found:
    """`unreachable` says why for each worker by name; `odd` are marks that are none of ours, a line each."""

    lefts: tuple[Left, ...]
    unreachable: dict[str, str] = field(default_factory=dict)
    odd: tuple[str, ...] = ()


def known_sites(ledger: Ledger) -> tuple[tuple[Site, ...], tuple[WorkerEntry, ...]]:
    """Where the ledger's workers had their last results; and those that never told of any."""
    places = {run.worker: run.place for run in ledger.runs() if run.place}
    names = worker_names(ledger)
    sites = (
        Site(name=names.get(worker, worker), place=replace(place, folder="", token=worker))
        for worker, place in places.items()
    )
    return tuple(sites), tuple(entry for entry in ledger.workers() if entry.worker not in places)


def worker_names(ledger: Ledger) -> dict[str, str]:
    """What people call the workers, by their ids."""
    return {entry.worker: plain(entry.heartbeat.name) for entry in ledger.workers()}


def find(sites: Sequence[Site], marks: Marks, crew: Crew, ledger: Ledger, until: Callable[[], bool]) -> Found:
    """Look at all of these places at once; of two that have the same run the first one counts."""
    answers: dict[str, Mapping[str, bytes]] = {}

    def look(key: str, site: Site) -> None:
        answers[key] = marks.marks(site.place)

    tasks = {f"marks {number}": partial(look, f"marks {number}", site) for number, site in enumerate(sites)}
    errands = Errands(crew, until)
    for key, task in tasks.items():
        errands.add(key, task)
    errors = dict(errands.ended())
    names, lefts, odd = worker_names(ledger), dict[str, Left](), list[str]()
    for key, site in zip(tasks, sites, strict=True):
        for name, data in answers.get(key, {}).items():
            try:
                left = _left(site, name, data, names, ledger)
            except WireError as error:
                odd.append(f"{site.name}: {site.place.workdirs}/runs/{plain(name)} is left where it is: {error}")
            else:
                lefts.setdefault(left.feedback.run, left)
    reached = {left.feedback.worker for left in lefts.values()}
    failed = [(site, errors.get(key)) for key, site in zip(tasks, sites, strict=True)]
    unreachable = {site.name: str(error) for site, error in failed if error and site.place.token not in reached}
    return Found(lefts=tuple(lefts.values()), unreachable=unreachable, odd=tuple(odd))


def _left(site: Site, name: str, data: bytes, names: Mapping[str, str], ledger: Ledger) -> Left:
    """WireError where it is no result of a job of ours."""
    mark = read_mark(name, data, site.place)
    told, campaign = mark.feedback, ledger.campaign()
    if campaign is None or told.config_id != campaign.config_id:
        raise WireError(f"it is of another campaign, {told.config_id}")
    entry, run = ledger.job(told.number), ledger.run(told.run)
    if entry is None or entry.job != mark.job.job:
        raise WireError(f"this campaign's job {told.number} is another one")
    if run and (run.number, run.worker) != (told.number, told.worker):
        raise WireError(f"run {told.run} is another worker's, or another job's")
    return Left(name=names.get(told.worker, site.name), feedback=told)


def left_there(name: str, count: int) -> str:
    """How many results a worker still has, for people."""
    return f"{name}: {'1 result' if count == 1 else f'{count} results'} left there"


def is_wanted(ledger: Ledger, left: Left) -> bool:
    """Whether its job has no result yet, and would take this one."""
    entry, run = ledger.job(left.feedback.number), ledger.run(left.feedback.run)
    return entry is not None and takes_results(entry) and not (run and run.reason is Reason.CORRUPT)


def takes_results(entry: JobEntry) -> bool:
    """As `Book.reported` does: a job that was given up for want of a result is glad of one that comes late."""
    return not entry.state.settled or (entry.state is JobState.DEAD and entry.reason not in _UNWANTED)


def is_reported(ledger: Ledger, run: str) -> bool:
    """Whether the ledger knows that the run is complete, and has not fetched it."""
    entry = ledger.run(run)
    return entry is not None and entry.state is RunState.REPORTED
