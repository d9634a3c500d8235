"""A campaign that is asked for more than it began with: what is new, and what stands against comparing the two."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from magma_remote.errors import UsageError
from magma_remote.model.comparable import changed
from magma_remote.model.entries import CampaignState, Edition, JobEntry, JobState
from magma_remote.model.findings import listed
from magma_remote.runtime.dispatcher.operations import campaign_of
from magma_remote.runtime.workdir.provenance import file_digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from magma_remote.model.campaign_request import CampaignRequest
    from magma_remote.model.entries import CampaignEntry
    from magma_remote.model.jobs import Job
    from magma_remote.ports import Ledger

Pair = tuple[str, str]

_CANCELLING = (
    "campaign {id} is being cancelled, nothing is sent out any more: `magma-remote dispatch`, with the file as it was, "
    "ends it; it can be extended then"
)
_REFUSED = (
    "campaign {id} ({before}) cannot be extended by {source}: {objections}. All trials of a WORKDIR are to be "
    "comparable, and none is left out: restore what has changed, or name another WORKDIR"
)


@dataclass(frozen=True, kw_only=True)
class Held:
    """A request held against what is there: jobs that are `added`, in their order, and what is `against` it."""

    added: tuple[Job, ...]
    against: tuple[str, ...]

    @property
    def objections(self) -> str:
        """For people."""
        return listed(self.against)

    @property
    def further(self) -> str:
        """`3 of afl/libpng/readpng`: what is added, for people."""
        return listed(self.groups)

    @property
    def groups(self) -> tuple[str, ...]:
        """The same, each by itself."""
        return tuple(_counted(self.added))

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Each (fuzzer, target) of what is added."""
        return tuple(dict.fromkeys((job.fuzzer, job.target) for job in self.added))


def hold_against(ledger: Ledger, entry: CampaignEntry, request: CampaignRequest) -> Held:
    """Compare a campaign as it is in its ledger with what its file and tree make now."""
    added = dict.fromkeys(request.jobs)
    gone: list[Job] = []
    for known in ledger.jobs():  # one at a time: there may be a million
        if known.job in added:
            del added[known.job]
        else:
            gone.append(known.job)
    altered = {_trial(job) for job in added} & {_trial(job) for job in gone}  # its terms tell what became of them
    against = [*_changed(entry, request)]
    removed = [job for job in gone if _trial(job) not in altered]
    if altered and not against:
        against += [f"other arguments for {each}" for each in _counted(job for job in gone if _trial(job) in altered)]
    against += [f"no longer asked for: {each}" for each in _counted(removed)]
    return Held(added=tuple(added), against=tuple(against))


def _changed(entry: CampaignEntry, request: CampaignRequest) -> tuple[str, ...]:
    before = {"TIMEOUT": str(entry.timeout), **entry.terms}
    told = changed(before, {"TIMEOUT": str(request.timeout), **request.terms})
    if entry.tree != request.tree and not (told or entry.terms):
        return ("the Magma tree has changed",)
    return told


def _trial(job: Job) -> tuple[str, str, str, int]:
    return job.fuzzer, job.target, job.program, job.repeat


def _counted(jobs: Iterable[Job]) -> list[str]:
    kinds = Counter(f"{job.fuzzer}/{job.target}/{job.program}" for job in jobs)
    return [f"{count} of {kind}" for kind, count in kinds.items()]


def check_extends(ledger: Ledger, request: CampaignRequest) -> Held:
    """What an extension would add; UsageError where it is refused, NoCampaignError where there is none to extend."""
    entry = campaign_of(ledger)
    found = hold_against(ledger, entry, request)
    if found.against:
        told = _REFUSED.format(
            id=entry.config_id, before=entry.source, source=request.source, objections=found.objections
        )
        raise UsageError(told)
    if found.added and entry.state is CampaignState.CANCELLED and entry.ended_at is None:
        raise UsageError(_CANCELLING.format(id=entry.config_id))
    return found


def extend(ledger: Ledger, request: CampaignRequest, now: float) -> Held:
    """Make the campaign the one that is asked for, in one step; what that adds, nothing the second time.

    Jobs keep their numbers, new ones come behind them. One that had ended is open again. Errors as `check_extends`.
    """
    with ledger.transaction():
        found = check_extends(ledger, request)
        entry, counts = campaign_of(ledger), ledger.counts()
        known = sum(counts.values())
        if not found.added and (entry.text, entry.tree) == (request.text, request.tree):
            return found
        ledger.add_jobs(JobEntry(number=number, job=job) for number, job in enumerate(found.added, start=known))
        extended = replace(
            entry,
            source=request.source,
            text=request.text,
            tree=request.tree,
            terms={**entry.terms, **request.terms},
            editions=(*entry.editions, _edition(entry, known, now)),
        )
        if found.added or counts[JobState.WAITING]:
            extended = replace(extended, state=CampaignState.OPEN, ended_at=None)
        ledger.save_campaign(extended)
        return found


def _edition(entry: CampaignEntry, jobs: int, now: float) -> Edition:
    return Edition(source=entry.source, sha256=file_digest(entry.text), tree=entry.tree, jobs=jobs, until=now)
