"""A WORKDIR as a dispatcher leaves it in the middle of a campaign, 200 jobs on 5 workers."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.model.entries import CampaignEntry, JobEntry, JobState, RunEntry, RunState, Warned, WorkerEntry
from magma_remote.model.heartbeat import Heartbeat, Inability, RunStatus, WorkerState
from magma_remote.model.jobs import Job
from magma_remote.model.outcome import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


CONFIG = "3f2a91c07b5d"
TIMEOUT = 3600.0
CAMPAIGN = 'REPEAT: 25\nFUZZERS: ["aflplusplus", "libfuzzer"]\nTIMEOUT: 1h\n'
PROGRAMS = (("libpng", "libpng_read_fuzzer"), ("libtiff", "tiffcp"), ("libxml2", "xmllint"), ("poppler", "pdfimages"))
SETTINGS = "TEMP_RESULTS: temp\nWORKDIR: workdir\nCOPY_TYPE: scp\nQUEUE: unix:/nowhere/queue.sock\n"

DONE, RUNNING, DEAD, QUEUED = 120, 10, 7, 60
"""How many; three more wait."""


def jobs() -> list[JobEntry]:
    """Done ones first, then running, dead, queued and waiting ones."""
    every = [
        Job(repeat=repeat, fuzzer=fuzzer, target=target, program=program)
        for fuzzer in ("aflplusplus", "libfuzzer")
        for repeat in range(25)
        for target, program in PROGRAMS
    ]
    return [_in_state(JobEntry(number=number, job=job)) for number, job in enumerate(every)]


def _in_state(entry: JobEntry) -> JobEntry:
    number = entry.number
    if number < DONE:
        return replace(entry, state=JobState.DONE, attempts=1, run=f"{number}-aaaaaa")
    if number < DONE + RUNNING:
        return replace(entry, state=JobState.RUNNING, attempts=1, queue_id=number)
    if number < DONE + RUNNING + DEAD:
        message = "the fuzzer ended after 2.1 s of 1 h"
        return replace(entry, state=JobState.DEAD, attempts=3, reason=Reason.ENDED_EARLY, message=message)
    if number < DONE + RUNNING + DEAD + QUEUED:
        return replace(entry, state=JobState.QUEUED, queue_id=number)
    return entry


def runs(now: float) -> Iterator[RunEntry]:
    """One for each that is done or running, three for each that is dead."""
    for number in range(DONE + RUNNING + DEAD):
        worker = f"id{number % 4}"
        run = RunEntry(run=f"{number}-aaaaaa", number=number, attempt=1, worker=worker, state=RunState.KEPT)
        if number < DONE:
            yield replace(run, reached=("AAH001", "AAH003", f"AAH{number % 7:03}"), triggered=("AAH001",))
        elif number < DONE + RUNNING:
            yield replace(run, state=RunState.RUNNING, phase="fuzzing", phase_since=now - 600, cpus=(number % 4,))
        else:
            failed = replace(run, state=RunState.FAILED, reason=Reason.ENDED_EARLY, tail=("+ afl-fuzz", "Aborted"))
            failed = replace(failed, message="the fuzzer ended after 2.1 s of 1 h", log=f"/w/log/{number}.log")
            yield from (replace(failed, run=f"{number}-{n}", attempt=n, worker=f"id{n}") for n in (1, 2, 3))


def workers(now: float) -> Iterator[WorkerEntry]:
    """Three that are ready, one that builds, one that is lost."""
    states = (WorkerState.READY, WorkerState.READY, WorkerState.READY, WorkerState.PREPARING, WorkerState.READY)
    for index, state in enumerate(states):
        mine = [number for number in range(DONE, DONE + RUNNING) if number % 4 == index]
        beat = Heartbeat(
            config_id=CONFIG,
            worker=f"id{index}",
            name=f"worker-{index + 1}",
            host=f"10.0.0.{index + 1}",
            state=state,
            at=now - 3,
            detail="building image 3 of 8: libfuzzer/poppler" if state is WorkerState.PREPARING else "",
            sets=((0, 1), (2, 3), (4, 5)) if state is WorkerState.READY else (),
            runs=tuple(_status(number, now) for number in mine),
            cannot=(Inability(fuzzer="libfuzzer", why="2 CPUs"),) if index == 4 else (),
            version="0.3",
        )
        yield WorkerEntry(worker=beat.worker, heartbeat=beat, heard_at=now - 3 - 4000 * (index == 4), lost=index == 4)


def _status(number: int, now: float) -> RunStatus:
    return RunStatus(
        run=f"{number}-aaaaaa",
        number=number,
        attempt=1,
        phase="fuzzing",
        since=now - 600 - number,
        started_at=now - 700,
        cpus=(2 * (number % 3), 2 * (number % 3) + 1),
        triggered=("AAH042",) if number % 5 == 0 else (),
    )


def dispatched(place: Path, **campaign: object) -> SqliteLedger:
    """Make `place/dispatcher.hjson` and `place/workdir` with its ledger, which is to be closed."""
    now = time.time()
    (place / "dispatcher.hjson").write_text(SETTINGS)
    (place / "workdir").mkdir()
    ledger = SqliteLedger(place / "workdir" / "ledger.sqlite")
    entry = CampaignEntry(
        config_id=CONFIG,
        source="week.hjson",
        text=CAMPAIGN,
        tree="00",
        since=now - 100_000,
        timeout=TIMEOUT,
        max_attempts=3,
    )
    with ledger.transaction():
        ledger.save_campaign(replace(entry, **campaign))  # type: ignore[arg-type]  # any of its fields
        ledger.add_jobs(jobs())
        for run in runs(now):
            ledger.save_run(run)
        for worker in workers(now):
            ledger.save_worker(worker)
        text = "worker worker-3: its disk is nearly full (3 GiB left of 400 GiB): it takes no job"
        ledger.save_warnings([Warned(key="obstacle id2", text=text, at=now - 300)])
    return ledger
