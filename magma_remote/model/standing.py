"""How a campaign stands: what `status` shows, computed from the ledger's entries alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .canaries import Bugs
from .entries import CampaignState, JobState, RunState
from .eta import Slots, eta, seconds_left
from .heartbeat import WorkerState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .entries import CampaignEntry, JobEntry, RunEntry, Warned, WorkerEntry
    from .heartbeat import Heartbeat, RunStatus
    from .jobs import Job


@dataclass(frozen=True, kw_only=True)
class Pair:
    """All trials of one fuzzer on one target.

    `counts` holds how many of its jobs are in each state (0 where left out), `bugs` what the results (runs that are
    KEPT) reached and triggered; `under_way` what runs without a result have triggered so far and no result has:
    it may come to nothing.
    """

    fuzzer: str
    target: str
    counts: Mapping[JobState, int] = field(default_factory=dict)
    bugs: Bugs = Bugs()  # noqa: RUF009 - frozen, hence safe to share
    under_way: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class WorkerStanding:
    """A worker's last word, and how many seconds ago that was, by the dispatcher's clock.

    `lost` once the dispatcher gave it up; `live` while it neither is lost nor said that it stops.
    """

    heartbeat: Heartbeat
    heard_ago: float
    lost: bool

    @property
    def live(self) -> bool:
        """Whether more may be heard of it."""
        return not self.lost and self.heartbeat.state is not WorkerState.STOPPED


@dataclass(frozen=True, kw_only=True)
class RunStanding:
    """A run that a worker has in hand. `since` is how many seconds its phase has lasted, None where nobody knows.

    `text` is the job's canonical text with its config id; `name` the worker's for people (its id where it never
    said one); `left` estimates the seconds until its CPUs are free; `triggered` is so far.
    """

    run: str
    number: int
    attempt: int
    job: Job
    text: str
    worker: str
    name: str
    phase: str
    since: float | None
    left: float
    cpus: tuple[int, ...]
    triggered: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A campaign at the moment `now` (seconds since the epoch).

    `counts` holds every state, 0 included. `unfetched` counts results that still lie on their workers. `eta` is in
    seconds from `now`, 0 where nothing is left to run, None where nobody can tell: no worker is ready for what is
    left. `pairs` are by fuzzer and target. `dead` are the first dead jobs by number, `counts` tells of all.
    """

    now: float
    campaign: CampaignEntry
    counts: Mapping[JobState, int]
    workers: tuple[WorkerStanding, ...]
    running: tuple[RunStanding, ...]
    unfetched: int
    eta: float | None
    pairs: tuple[Pair, ...]
    dead: tuple[JobEntry, ...]
    warnings: tuple[Warned, ...]

    @property
    def total(self) -> int:
        """How many jobs the campaign has."""
        return sum(self.counts.values())


def standing(
    campaign: CampaignEntry,
    *,
    now: float,
    pairs: Iterable[Pair] = (),
    workers: Sequence[WorkerEntry] = (),
    runs: Sequence[tuple[RunEntry, Job]] = (),
    dead: Sequence[JobEntry] = (),
    warnings: Sequence[Warned] = (),
    demands: Mapping[str, int] | None = None,
) -> Standing:
    """Put together how a campaign stands.

    `runs` are those that are live (RUNNING or REPORTED), each with its job; `pairs` as a ledger gives them;
    `demands` the least CPUs that a trial of a fuzzer needs, 1 where left out. What a worker's last heartbeat says
    of a run is newer than the run's own entry, and counts.
    """
    by_name = sorted(pairs, key=lambda pair: (pair.fuzzer, pair.target))
    known = {worker.worker: worker for worker in workers}
    running = tuple(
        _run(entry, job, campaign, known.get(entry.worker), now)
        for entry, job in runs
        if entry.state is RunState.RUNNING
    )
    found = _under_way(running, runs)
    return Standing(
        now=now,
        campaign=campaign,
        counts=_totals(by_name),
        workers=tuple(_worker(entry, now) for entry in workers),
        running=running,
        unfetched=sum(entry.state is RunState.REPORTED for entry, _ in runs),
        eta=_eta(campaign, by_name, workers, running, demands or {}),
        pairs=tuple(_with(pair, found.get((pair.fuzzer, pair.target), set())) for pair in by_name),
        dead=tuple(dead),
        warnings=tuple(warnings),
    )


def _totals(pairs: Sequence[Pair]) -> dict[JobState, int]:
    return {state: sum(pair.counts.get(state, 0) for pair in pairs) for state in JobState}


def _worker(entry: WorkerEntry, now: float) -> WorkerStanding:
    return WorkerStanding(heartbeat=entry.heartbeat, heard_ago=max(0.0, now - entry.heard_at), lost=entry.lost)


def _run(entry: RunEntry, job: Job, campaign: CampaignEntry, worker: WorkerEntry | None, now: float) -> RunStanding:
    status = _status(worker, entry.run)
    phase = status.phase if status else entry.phase
    since = _lasted(status.since if status else entry.phase_since, worker, now)
    return RunStanding(
        run=entry.run,
        number=entry.number,
        attempt=entry.attempt,
        job=job,
        text=f"{campaign.config_id},{job}",
        worker=entry.worker,
        name=(worker.heartbeat.name if worker else "") or entry.worker,
        phase=phase,
        since=since,
        left=seconds_left(phase, since or 0.0, campaign.timeout),
        cpus=status.cpus if status else entry.cpus,
        triggered=status.triggered if status else entry.triggered,
    )


def _status(worker: WorkerEntry | None, run: str) -> RunStatus | None:
    return next((status for status in worker.heartbeat.runs if status.run == run), None) if worker else None


def _lasted(began: float | None, worker: WorkerEntry | None, now: float) -> float | None:
    """Seconds since a moment by the worker's clock, which may be set otherwise than the dispatcher's."""
    if began is None:
        return None
    ahead = worker.heartbeat.at - worker.heard_at if worker else 0.0
    return max(0.0, now + ahead - began)


def _under_way(running: Iterable[RunStanding], runs: Iterable[tuple[RunEntry, Job]]) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    reported = [(job, entry.triggered) for entry, job in runs if entry.state is RunState.REPORTED]
    for job, triggered in [*((run.job, run.triggered) for run in running), *reported]:
        found.setdefault((job.fuzzer, job.target), set()).update(triggered)
    return found


def _with(pair: Pair, found: set[str]) -> Pair:
    return replace(pair, under_way=frozenset(found - pair.bugs.triggered))


def _eta(
    campaign: CampaignEntry,
    pairs: Sequence[Pair],
    workers: Sequence[WorkerEntry],
    running: Sequence[RunStanding],
    demands: Mapping[str, int],
) -> float | None:
    if campaign.state is CampaignState.ENDED:
        return 0.0
    remaining: dict[str, int] = {}
    if campaign.state is CampaignState.OPEN:
        for pair in pairs:
            waiting = pair.counts.get(JobState.WAITING, 0) + pair.counts.get(JobState.QUEUED, 0)
            remaining[pair.fuzzer] = remaining.get(pair.fuzzer, 0) + waiting
    ready = [
        Slots(
            sets=entry.heartbeat.sets,
            busy=tuple((run.cpus, run.left) for run in running if run.worker == entry.worker),
            cannot=frozenset(unable.fuzzer for unable in entry.heartbeat.cannot),
        )
        for entry in workers
        if not entry.lost
        and entry.heartbeat.state is WorkerState.READY
        and entry.heartbeat.config_id == campaign.config_id
    ]
    return eta(
        remaining, ready, campaign.timeout, demands=demands, others=max((run.left for run in running), default=0.0)
    )
