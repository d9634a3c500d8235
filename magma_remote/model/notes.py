"""What holds in a campaign file but may surprise its author."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .campaign import WorkerMode
from .document import describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .campaign import Campaign
    from .document import Table


def notes(document: Table, campaign: Campaign) -> Iterator[str]:
    """One sentence each; `campaign` was read from `document`."""
    mode = dict(document.pairs).get("WORKER_MODE")
    if campaign.worker_pool and mode and mode.value not in (WorkerMode.LOGICAL.value, 1):
        yield f"WORKER_POOL lists logical CPUs: WORKER_MODE {describe(mode.value)} is not used"
    if campaign.poll >= campaign.timeout.seconds:
        yield f"POLL of {campaign.poll} s is not shorter than a trial: bugs that it reaches may not be seen"
