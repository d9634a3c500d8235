"""What people do to a campaign beside its dispatcher, which finds it in the ledger at its next step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from magma_remote.errors import NoCampaignError, UsageError
from magma_remote.model.document import show
from magma_remote.model.entries import CampaignState, JobState, RunState
from magma_remote.model.findings import did_you_mean, listed
from magma_remote.model.heartbeat import WorkerState
from magma_remote.model.messages import Orders, orders_tube
from magma_remote.model.outcome import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from magma_remote.model.entries import CampaignEntry, JobEntry, RunEntry, WorkerEntry
    from magma_remote.model.jobs import Job
    from magma_remote.ports import Ledger, Queue

_LONGEST_NUMBER = 9  # digits


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What became of jobs: `changed` as they are now, `refused` as they are, each with why.

    `reopened` where the campaign had ended and has something to do again.
    """

    changed: tuple[JobEntry, ...]
    refused: tuple[tuple[JobEntry, str], ...] = ()
    reopened: bool = False


@dataclass(frozen=True, kw_only=True)
class Grave:
    """A job with those of its runs that came to nothing, oldest first."""

    entry: JobEntry
    runs: tuple[RunEntry, ...]


def campaign_of(ledger: Ledger) -> CampaignEntry:
    """The ledger's campaign; NoCampaignError where it has none yet."""
    campaign = ledger.campaign()
    if campaign is None:
        raise NoCampaignError("the ledger holds no campaign yet: its dispatcher is starting, or ended while it started")
    return campaign


def find_jobs(ledger: Ledger, names: Sequence[str]) -> tuple[int, ...]:
    """Numbers of jobs, each named by its number or by its text, with or without its config id.

    UsageError tells all names that are no job's.
    """
    texts = {name.removeprefix(f"{campaign_of(ledger).config_id},") for name in names if not _number(name)}
    by_text = {str(entry.job): entry.number for entry in ledger.jobs() if str(entry.job) in texts} if texts else {}
    found: dict[str, int] = {}
    for name in names:
        if number := _number(name):
            entry = ledger.job(int(number))
            found |= {name: entry.number} if entry else {}
        elif (text := name.removeprefix(f"{campaign_of(ledger).config_id},")) in by_text:
            found[name] = by_text[text]
    unknown = [name for name in names if name not in found]
    if unknown:
        raise UsageError(
            f"no job {listed(show(name) for name in unknown)}: a job is named by its number, as `status` and "
            "`graveyard list` show it, or by its text in quotes, 'repeat,fuzzer,target,program args,fuzzargs'"
        )
    return tuple(dict.fromkeys(found[name] for name in names))


def _number(name: str) -> str:
    return name if name.isascii() and name.isdigit() and len(name) <= _LONGEST_NUMBER else ""


def graves(ledger: Ledger) -> tuple[Grave, ...]:
    """Every job that is dead or has failed at least once, by number."""
    with ledger.transaction():
        runs: dict[int, list[RunEntry]] = {entry.number: [] for entry in ledger.jobs(JobState.DEAD)}
        for run in ledger.runs(RunState.FAILED, RunState.LOST):
            runs.setdefault(run.number, []).append(run)
        entries = [(ledger.job(number), of_job) for number, of_job in sorted(runs.items())]
        return tuple(Grave(entry=entry, runs=tuple(of_job)) for entry, of_job in entries if entry)


def requeue(
    ledger: Ledger, numbers: Iterable[int] | None, *, give_up: Callable[[Job], str] = lambda _job: "its result is there"
) -> Changes:
    """Let dead jobs run again as if they never had, all of them without `numbers`.

    So does a done one whose result was lost: `give_up` makes room in WORKDIR for another, or says why not. A campaign
    that has ended is open again. UsageError while it is being cancelled.
    """
    with ledger.transaction():
        campaign = campaign_of(ledger)
        if campaign.state is CampaignState.CANCELLED and campaign.ended_at is None:
            raise UsageError(
                "the campaign is being cancelled, nothing is sent out any more: wait until it has ended, then requeue "
                "opens it again"
            )
        changes = _change(ledger, _entries(ledger, numbers), partial(_revived, ledger, give_up))
        if not changes.changed or campaign.state is CampaignState.OPEN:
            return changes
        ledger.save_campaign(replace(campaign, state=CampaignState.OPEN, ended_at=None))
        return replace(changes, reopened=True)


def _revived(ledger: Ledger, give_up: Callable[[Job], str], entry: JobEntry) -> JobEntry | str:
    if entry.state is JobState.DONE:
        if why := give_up(entry.job):
            return f"it is done, and {why}"
        if run := ledger.run(entry.run or ""):
            ledger.save_run(replace(run, state=RunState.DROPPED, message="its result was lost, and given up"))
    elif entry.state is not JobState.DEAD:
        return f"it is not dead but {entry.state.value}"
    # its old message, where there still is one, goes when it meets a job that is settled: two runs do no harm
    waiting = replace(entry, state=JobState.WAITING, attempts=0, avoid=(), queue_id=None, run=None)
    return replace(waiting, reason=None, message="")


def drop(ledger: Ledger, numbers: Iterable[int]) -> Changes:
    """Give jobs up for good: what runs of them is stopped, and a result that comes late is not taken."""
    with ledger.transaction():
        return _change(ledger, _entries(ledger, numbers), _dropped)


def _dropped(entry: JobEntry) -> JobEntry | str:
    if entry.state in {JobState.DONE, JobState.FETCHED}:
        return "it has its result already"
    if entry.reason is Reason.DROPPED and entry.state is JobState.DEAD:
        return "it was dropped before"
    before = f"; it had failed before: {entry.message}" if entry.message else ""
    return replace(entry, state=JobState.DEAD, reason=Reason.DROPPED, message=f"dropped by a person{before}")


def _entries(ledger: Ledger, numbers: Iterable[int] | None) -> Iterable[JobEntry]:
    if numbers is None:
        return ledger.jobs(JobState.DEAD)
    return [entry for entry in map(ledger.job, numbers) if entry]


def _change(ledger: Ledger, entries: Iterable[JobEntry], change: Callable[[JobEntry], JobEntry | str]) -> Changes:
    changed: list[JobEntry] = []
    refused: list[tuple[JobEntry, str]] = []
    for entry in entries:
        after = change(entry)
        if isinstance(after, str):
            refused.append((entry, after))
        else:
            ledger.save_job(after)
            changed.append(after)
    return Changes(changed=tuple(changed), refused=tuple(refused))


def cancel(ledger: Ledger) -> CampaignEntry:
    """Have the dispatcher end the campaign; the campaign as it was. UsageError where it has ended."""
    with ledger.transaction():
        campaign = campaign_of(ledger)
        if campaign.ended_at is not None:
            raise UsageError(f"campaign {campaign.config_id} ({campaign.source}) has ended: nothing is left to cancel")
        ledger.save_campaign(replace(campaign, state=CampaignState.CANCELLED))
        return campaign


def find_worker(ledger: Ledger, name: str) -> WorkerEntry:
    """A worker by its name or its id; of several with one name, the one that is there.

    UsageError where there is none, or more than one.
    """
    workers = ledger.workers()
    found = [entry for entry in workers if name in {entry.worker, entry.heartbeat.name}]
    there = [entry for entry in found if not entry.lost] or found[-1:]
    if len(there) == 1:
        return there[0]
    if there:
        raise UsageError(f"{show(name)} is the name of several workers: say which, {_ids(there)}")
    names = sorted({entry.heartbeat.name for entry in workers})
    known = f"known are {listed(names)}" if names else "no worker was ever heard"
    hint = did_you_mean(name, names)
    raise UsageError(f"no worker {show(name)}: {known}" + (f"; {hint}" if hint else ""))


def _ids(workers: Iterable[WorkerEntry]) -> str:
    return " or ".join(f"{entry.worker} (on {entry.heartbeat.host})" for entry in workers)


def drain(ledger: Ledger, queue: Queue, worker: WorkerEntry) -> None:
    """Tell a worker to finish what runs and leave; UsageError where it is not there to hear it."""
    beat = worker.heartbeat
    if beat.state is WorkerState.STOPPED:
        raise UsageError(f"worker {beat.name} has stopped already: there is nothing to drain")
    if worker.lost:
        raise UsageError(f"worker {beat.name} is lost: nobody is there to drain; its jobs go to others by themselves")
    orders = Orders(config_id=campaign_of(ledger).config_id, drain=True)
    queue.put(orders_tube(worker.worker), orders.encode())
