"""Entries of a ledger with every field set, and small ones; for all tests about the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magma_remote.model.canaries import Bugs
from magma_remote.model.entries import (
    CampaignEntry,
    CampaignState,
    Edition,
    JobEntry,
    JobState,
    RunEntry,
    RunState,
    Warned,
    WorkerEntry,
)
from magma_remote.model.heartbeat import Heartbeat, Inability, RunStatus, WorkerState
from magma_remote.model.jobs import Job
from magma_remote.model.messages import Place
from magma_remote.model.outcome import Reason
from magma_remote.model.standing import Pair

if TYPE_CHECKING:
    from collections.abc import Iterable

ODD = "é \N{GRINNING FACE} \udcff '\"\n"  # a path of other bytes comes so over the wire

CAMPAIGN = CampaignEntry(
    config_id="c0ffee",
    source="demo.hjson",
    text="{\n  TIMEOUT: 5s # é\n}\n",
    tree="00ff",
    since=1.5,
    timeout=5.0,
    max_attempts=3,
    state=CampaignState.CANCELLED,
    ended_at=9.25,
    terms={"TIMEOUT": "5.0", "FUZZARGS of afl,libtiff": "-x é"},
    editions=(Edition(source="é.hjson", sha256="cd" * 32, tree="00fe", jobs=7, until=4.5),),
)
JOB = JobEntry(
    number=7,
    job=Job(repeat=3, fuzzer="afl", target="libtiff", program="tiffcp", args="-M @@,x é", fuzzargs="-x a,b"),
    state=JobState.DEAD,
    attempts=3,
    queue_id=2**62,
    avoid=("w1", ODD),
    reason=Reason.ENDED_EARLY,
    message=ODD,
    run="7-abcdef",
)
RUN = RunEntry(
    run="7-abcdef",
    number=7,
    attempt=2,
    worker="w1",
    state=RunState.REPORTED,
    started_at=1.1,
    phase="fuzzing",
    phase_since=2.2,
    cpus=(0, 3),
    ended_at=3.3,
    reason=Reason.NO_MONITOR,
    message=ODD,
    tail=("", ODD),
    log="log/é",
    place=Place(folder="/w/" + ODD, workdirs="/w", token="t", host="h", port=22, user="u", cpus=(1,)),
    manifest="ab" * 32,
    fetches=2,
    fetch_at=4.4,
    reached=("AAH001", "AAH002"),
    triggered=("AAH002",),
)
STATUS = RunStatus(run="7-x", number=7, attempt=1, phase="f", since=1.0, started_at=0.5, cpus=(0,), triggered=("A",))
BEAT = Heartbeat(
    config_id="c0ffee",
    worker="w1",
    name="host é",
    host="10.0.0.2",
    state=WorkerState.READY,
    at=12.5,
    detail=ODD,
    sets=((0,), (1, 2)),
    housekeeping=(3,),
    runs=(STATUS,),
    returned=("6-x",),
    cannot=(Inability(fuzzer="afl", why="wide"),),
    version="1.0",
)
WORKER = WorkerEntry(worker="w1", heartbeat=BEAT, heard_at=13.0, lost=True)
WARNED = Warned(key="silence", text=ODD, at=1.25)


def a_job(number: int = 0, **fields_: Any) -> JobEntry:
    job = Job(repeat=number, fuzzer=f"f{number % 2}", target=f"t{number % 3}", program="p")
    return JobEntry(number=number, job=job, **fields_)


def a_run(run: str, number: int = 0, **fields_: Any) -> RunEntry:
    values: dict[str, Any] = {"attempt": 1, "worker": "w1", "state": RunState.RUNNING}
    return RunEntry(run=run, number=number, **values | fields_)


def pairs_of(jobs: Iterable[JobEntry], runs: Iterable[RunEntry]) -> tuple[Pair, ...]:
    """The pairs of a campaign's jobs and of its runs, counted from scratch: what a ledger's own count must be."""
    counts: dict[tuple[str, str], dict[JobState, int]] = {}
    where: dict[int, tuple[str, str]] = {}
    for entry in jobs:
        key = where[entry.number] = (entry.job.fuzzer, entry.job.target)
        of_pair = counts.setdefault(key, {})
        of_pair[entry.state] = of_pair.get(entry.state, 0) + 1
    bugs: dict[tuple[str, str], Bugs] = {}
    for run in runs:
        if run.state is RunState.KEPT and run.number in where:
            found = Bugs(reached=frozenset(run.reached), triggered=frozenset(run.triggered))
            bugs[where[run.number]] = bugs.get(where[run.number], Bugs()) | found
    return tuple(
        Pair(fuzzer=fuzzer, target=target, counts=counted, bugs=bugs.get((fuzzer, target), Bugs()))
        for (fuzzer, target), counted in sorted(counts.items())
    )
