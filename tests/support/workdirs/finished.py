"""A WORKDIR that a dispatcher has finished, with all that proves what is in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.cli.provenance import tell_dispatched
from magma_remote.model.entries import CampaignEntry, CampaignState, JobEntry, JobState, RunState
from magma_remote.model.jobs import Job
from magma_remote.model.layout import Workdir
from magma_remote.model.outcome import Reason
from magma_remote.runtime.workdir.entering import Entering
from magma_remote.runtime.workdir.manifest import load
from magma_remote.runtime.workdir.origin import note_origin
from tests.support.workdirs.result import a_result

if TYPE_CHECKING:
    from pathlib import Path

TEXT = 'REPEAT: 4\nFUZZERS: ["afl"]\nTIMEOUT: 20s\n'
"""Of four trials; `text_of` is the file of fewer."""

JOBS = tuple(Job(repeat=run, fuzzer="afl", target="libpng", program="readpng") for run in range(4))
DONE = 3
"""The fourth is dead."""

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True)
class Proven:
    """`ledger` is open, and to be closed."""

    workdir: Workdir
    ledger: SqliteLedger

    def finish(self, *, all_done: bool = False) -> None:
        """End the campaign, and write manifest.json."""
        campaign = self.ledger.campaign()
        assert campaign is not None
        with self.ledger.transaction():
            self.ledger.save_campaign(replace(campaign, state=CampaignState.ENDED, ended_at=2000.0))
        assert not all_done or not list(self.ledger.jobs(JobState.DEAD))
        tell_dispatched(self.workdir.root, self.ledger)


def text_of(jobs: tuple[Job, ...]) -> str:
    """The campaign file that asks for them."""
    return TEXT.replace("REPEAT: 4", f"REPEAT: {len(jobs)}")


def proven(place: Path, *, jobs: tuple[Job, ...] = JOBS) -> Proven:
    """The first jobs are done, the others dead; nothing has ended yet."""
    workdir = Workdir(place / "workdir")
    for folder in (workdir.ar, workdir.logs, workdir.pocs, workdir.records):
        folder.mkdir(parents=True)
    ledger = SqliteLedger(workdir.root / "ledger.sqlite")
    campaign = CampaignEntry(
        config_id="c0ffee",
        source="c.hjson",
        text=text_of(jobs),
        tree="ab" * 32,
        since=1000.0,
        timeout=20.0,
        max_attempts=3,
    )
    note_origin(workdir, {"commit": COMMIT, "dirty": True, "changes": [" M fuzzers/afl/run.sh"]})
    with ledger.transaction():
        ledger.save_campaign(campaign)
        ledger.add_jobs(JobEntry(number=number, job=job) for number, job in enumerate(jobs))
        for number, job in enumerate(jobs):
            if number < DONE:
                _merge(place / f"worker{number}", workdir, ledger, number, job)
            else:
                dead = JobEntry(number=number, job=job, state=JobState.DEAD, attempts=3, reason=Reason.ENDED_EARLY)
                ledger.save_job(replace(dead, message="the fuzzer ended after 2.1 s of 20 s"))
    return Proven(workdir, ledger)


def _merge(folder: Path, workdir: Workdir, ledger: SqliteLedger, number: int, job: Job) -> None:
    run = replace(a_result(folder, job=job, big=1000), number=number, run=f"{number}-0a1b2c", worker="w1")
    assert run.place is not None
    here = folder / run.place.folder.rpartition("/")[2]
    Entering(folder=here, workdir=workdir, run=run, job=job, manifest=load(here, run.manifest)).all()
    run = replace(run, state=RunState.KEPT, started_at=1100.0, ended_at=1121.5, cpus=(number,))
    ledger.save_run(run)
    ledger.save_job(JobEntry(number=number, job=job, state=JobState.DONE, attempts=1, run=run.run))
