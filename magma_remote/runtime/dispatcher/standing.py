"""How the campaign of a ledger stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magma_remote.model.entries import JobState, RunState
from magma_remote.model.standing import Standing, standing
from magma_remote.runtime.dispatcher.operations import campaign_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from magma_remote.model.entries import RunEntry
    from magma_remote.model.jobs import Job
    from magma_remote.ports import Ledger

MOST_DEAD = 1000
"""Dead jobs that are read: more are counted, and nobody reads them in a status."""


def read_standing(ledger: Ledger, now: float, *, demands: Mapping[str, int] | None = None) -> Standing:
    """Read it, all of one moment; `now` and `demands` as in `standing`. The cost does not grow with done jobs.

    LedgerError where the ledger fails or holds no campaign yet.
    """
    with ledger.transaction():
        return standing(
            campaign_of(ledger),
            now=now,
            pairs=ledger.pairs(),
            workers=ledger.workers(),
            runs=tuple(_with_jobs(ledger)),
            dead=tuple(ledger.jobs(JobState.DEAD, limit=MOST_DEAD)),
            warnings=ledger.warnings(),
            demands=demands,
        )


def _with_jobs(ledger: Ledger) -> Iterator[tuple[RunEntry, Job]]:
    for run in ledger.runs(*(state for state in RunState if state.live)):
        entry = ledger.job(run.number)
        if entry is not None:
            yield run, entry.job
