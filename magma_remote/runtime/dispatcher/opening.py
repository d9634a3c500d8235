"""How a campaign comes into its ledger, and how a dispatcher that is started again finds its own."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from magma_remote.errors import UsageError, WireError
from magma_remote.model.entries import CampaignEntry, CampaignState, JobEntry, JobState
from magma_remote.model.messages import Broadcast
from magma_remote.model.pinned import PinnedImage
from magma_remote.model.wire import LARGEST
from magma_remote.runtime.dispatcher.extending import hold_against

if TYPE_CHECKING:
    from magma_remote.model.campaign_request import CampaignRequest
    from magma_remote.ports import Ledger

_LONGEST_TEXT = 40_000  # bytes of a broadcast without its images, of which there may be many
_LARGEST_ID = 2**32
_LONGEST_TIME = 4_000_000_000.123457
_ID_BYTES = 6


def check_size(request: CampaignRequest, *, host: str = "", workdir: str = "") -> None:
    """UsageError where the campaign file is too large for its broadcast, alone or with the names of its images."""
    probe = Broadcast(
        config_id="0" * 2 * _ID_BYTES,
        source=request.source,
        text=request.text,
        tree=request.tree,
        since=_LONGEST_TIME,
        dispatcher="",
        workdir="",
    )
    if _size(probe) > _LONGEST_TEXT:
        raise UsageError(
            f"{request.source} is too long for a message of the queue ({len(request.text)} characters, about "
            f"{_LONGEST_TEXT} are possible): shorten its comments, or run it as two campaigns"
        )
    images = tuple(PinnedImage(fuzzer=f, target=t, manifest=f"sha256:{'0' * 64}") for f, t in request.pairs)
    whole = replace(probe, dispatcher=host, workdir=workdir, images=images, uid=_LARGEST_ID, gid=_LARGEST_ID)
    if _size(whole) > LARGEST:
        raise UsageError(
            f"{request.source} ({len(request.text)} characters) and the digests of its {len(images)} images are too "
            f"long for a message of the queue, which takes {LARGEST} bytes: shorten its comments, or run it as two "
            "campaigns"
        )


def _size(message: Broadcast) -> int:
    try:
        return len(message.encode())
    except WireError:
        return LARGEST + 1


def begin(ledger: Ledger, request: CampaignRequest, now: float) -> CampaignEntry:
    """Write a new campaign with all its jobs, in one step."""
    entry = CampaignEntry(
        config_id=secrets.token_hex(_ID_BYTES),
        source=request.source,
        text=request.text,
        tree=request.tree,
        since=now,
        timeout=request.timeout,
        max_attempts=request.max_attempts,
        terms=request.terms,
    )
    with ledger.transaction():
        ledger.save_campaign(entry)
        ledger.add_jobs(JobEntry(number=number, job=job) for number, job in enumerate(request.jobs))
    return entry


def resume(ledger: Ledger, entry: CampaignEntry, request: CampaignRequest) -> CampaignEntry:
    """Go on with a campaign; one that has ended is open again where jobs wait (somebody has put them back).

    UsageError where the file or the tree make other trials than those that are there.
    """
    check_same(ledger, entry, request)
    goes_on = replace(entry, max_attempts=request.max_attempts)
    if entry.ended_at is not None and ledger.counts()[JobState.WAITING]:
        goes_on = replace(goes_on, state=CampaignState.OPEN, ended_at=None)
    ledger.save_campaign(goes_on)
    return goes_on


def check_same(ledger: Ledger, entry: CampaignEntry, request: CampaignRequest) -> None:
    """UsageError where the file or the tree make other trials than those that are in the ledger, or further ones."""
    found = hold_against(ledger, entry, request)
    if found.against:
        raise UsageError(
            f"this WORKDIR is that of another campaign ({entry.config_id}, {entry.source}): {request.source} makes "
            f"other trials now: {found.objections}; restore what has changed, or name another WORKDIR"
        )
    if found.added:
        raise UsageError(
            f"this WORKDIR is that of campaign {entry.config_id} ({entry.source}), and {request.source} makes further "
            f"trials: {found.further}; `magma-remote dispatch --extend` runs them, too, or restore the file, or name "
            "another WORKDIR"
        )
