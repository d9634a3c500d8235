"""What of a campaign is in its WORKDIR, and what is missing and why."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from magma_remote.model.entries import JobState, RunState
from magma_remote.model.plain import plain
from magma_remote.runtime.collecting.leftovers import worker_names
from magma_remote.runtime.dispatcher.operations import campaign_of
from magma_remote.runtime.storage import storage_errors
from magma_remote.runtime.workdir.entering import is_entered, manifest_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from magma_remote.model.entries import CampaignEntry, JobEntry
    from magma_remote.model.layout import Workdir
    from magma_remote.ports import Ledger

GONE = "gone"
"""Why a job is missing that is done: somebody has removed its result from WORKDIR."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Trials of one program: how many there are in all, and in WORKDIR."""

    fuzzer: str
    target: str
    program: str
    total: int
    complete: int


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A job without its result in WORKDIR: `reason` is for programs, `message` for people."""

    entry: JobEntry
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Stock:
    """Groups are in the order of the campaign, missing jobs by their numbers."""

    campaign: CampaignEntry
    groups: tuple[Group, ...]
    missing: tuple[Missing, ...]

    @property
    def total(self) -> int:
        """How many jobs there are."""
        return sum(group.total for group in self.groups)

    @property
    def complete(self) -> int:
        """How many of them are in WORKDIR."""
        return self.total - len(self.missing)


def take_stock(ledger: Ledger, workdir: Workdir, why: Mapping[int, tuple[str, str]]) -> Stock:
    """Hold every job against the ledger and WORKDIR; `why` is what was seen of some of them, as in Collecting."""
    totals, complete = Counter[tuple[str, str, str]](), Counter[tuple[str, str, str]]()
    missing = []
    names = worker_names(ledger)
    for entry in ledger.jobs():
        key = (entry.job.fuzzer, entry.job.target, entry.job.program)
        totals[key] += 1
        found = _missing(ledger, workdir, entry, why, names)
        if found:
            missing.append(found)
        else:
            complete[key] += 1
    groups = tuple(
        Group(fuzzer=fuzzer, target=target, program=program, total=total, complete=complete[fuzzer, target, program])
        for (fuzzer, target, program), total in totals.items()
    )
    return Stock(campaign=campaign_of(ledger), groups=groups, missing=tuple(missing))


def _missing(
    ledger: Ledger,
    workdir: Workdir,
    entry: JobEntry,
    why: Mapping[int, tuple[str, str]],
    names: Mapping[str, str],
) -> Missing | None:
    if entry.state is JobState.DONE:
        gone = _gone(ledger, workdir, entry)
        if not gone:
            return None
        seen = why.get(entry.number)
        return Missing(entry=entry, reason=GONE, message=f"{gone}; {seen[1]}" if seen else gone)
    reason, message = why.get(entry.number) or _state(ledger, entry, names)
    return Missing(entry=entry, reason=reason, message=plain(message))


def _gone(ledger: Ledger, workdir: Workdir, entry: JobEntry) -> str:
    """What of a result is not in WORKDIR any more; empty where all is there."""
    run = ledger.run(entry.run or "")
    with storage_errors("look at it"):
        if run and is_entered(workdir, run, entry.job):
            return ""
        parts = (workdir.entry(entry.job), workdir.record(entry.job), manifest_path(workdir, entry.job))
        absent = next((path for path in parts if not path.exists()), None)
        away = f"move {parts[0]} away, and " if os.path.lexists(parts[0]) else ""
    what = f"{absent} is gone" if absent else f"{parts[0]} is not the result that was merged"
    again = f"{away}`magma-remote graveyard requeue {entry.number}` lets it run again"
    return f"it was complete, but {what}: bring it back from a copy of WORKDIR, or {again}"


def _state(ledger: Ledger, entry: JobEntry, names: Mapping[str, str]) -> tuple[str, str]:
    """A job that is not done, as the ledger has it."""
    if entry.state is JobState.DEAD:
        return entry.reason.value if entry.reason else "failed", entry.message
    for run in reversed(ledger.runs(RunState.REPORTED, RunState.RUNNING, number=entry.number)):
        name = names.get(run.worker, run.worker)
        if run.state is RunState.REPORTED:
            return "not_fetched", f"complete on {name}, not fetched yet"
        return JobState.RUNNING.value, f"runs on {name}"
    if entry.state is JobState.FETCHED:
        return entry.state.value, "fetched, not merged yet"
    before = f"; it failed before: {entry.message}" if entry.message else ""
    return entry.state.value, f"waits for a worker{before}"
