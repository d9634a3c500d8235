"""What there is of a campaign, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magma_remote.cli.beside import DISPATCH
from magma_remote.cli.progress import trial_label
from magma_remote.model.completeness import table
from magma_remote.model.entries import JobState
from magma_remote.model.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from magma_remote.model.entries import JobEntry
    from magma_remote.model.layout import Workdir
    from magma_remote.runtime.collecting.leftovers import Found
    from magma_remote.runtime.collecting.stock import Stock

_SHOWN = 20


def members(stock: Stock, found: Found, fetched: Sequence[JobEntry], workdir: Workdir) -> dict[str, Any]:
    """What `collect --json` prints, beside its version; a job is its text with the campaign's id."""
    campaign = stock.campaign
    return {
        "workdir": str(workdir.root),
        "state": campaign.state.value,
        "ended": campaign.ended_at is not None,
        "total": stock.total,
        "complete": stock.complete,
        "fetched": [f"{campaign.config_id},{entry.job}" for entry in fetched],
        "missing": [
            {"job": f"{campaign.config_id},{one.entry.job}", "reason": one.reason, "message": one.message}
            for one in stock.missing
        ],
        "groups": [
            {
                "fuzzer": group.fuzzer,
                "target": group.target,
                "program": group.program,
                "complete": group.complete,
                "total": group.total,
            }
            for group in stock.groups
        ],
        "unreachable": [{"worker": name, "message": message} for name, message in found.unreachable.items()],
    }


def lines(
    stock: Stock, found: Found, fetched: Sequence[JobEntry], workdir: Workdir, *, dispatched: bool
) -> Iterator[str]:
    """A table, what is missing, where everything is and what to type next."""
    yield from table((one.fuzzer, one.target, one.program, one.complete, one.total) for one in stock.groups)
    yield ""
    if stock.missing:
        yield f"{len(stock.missing)} missing:"
        for one in stock.missing[:_SHOWN]:
            yield f"  {trial_label(one.entry.job)}: {one.reason}: {plain(one.message)}"
        if len(stock.missing) > _SHOWN:
            yield f"  and {len(stock.missing) - _SHOWN} more: `magma-remote collect --json` lists all"
    campaign = stock.campaign
    state = f"campaign {campaign.config_id} {'has ended' if campaign.ended_at is not None else 'goes on'}"
    new = f"{len(fetched)} of them new" if fetched else "none of them new"
    yield f"{stock.complete} of {stock.total} trials are in {workdir.root}, {new}; {state}"
    yield from _next(stock, found, dispatched=dispatched)


def _next(stock: Stock, found: Found, *, dispatched: bool) -> Iterator[str]:
    if stock.missing and found.unreachable:
        yield f"Not reached: {', '.join(found.unreachable)}. Once they are there: `magma-remote collect` again."
    if stock.campaign.ended_at is None:
        if dispatched:
            yield "How it goes: `magma-remote status --watch`"
        else:
            yield f"No dispatcher runs: type {DISPATCH}, and the campaign goes on to its end"
    elif any(one.entry.state is JobState.DEAD for one in stock.missing):
        yield f"Why: `magma-remote graveyard list`. Again: `magma-remote graveyard requeue --all`, then {DISPATCH}"
    elif not stock.missing:
        yield "All is there: `magma-remote status` lists the bugs"
