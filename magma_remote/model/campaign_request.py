"""What a dispatcher is asked to run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .messages import MAX_ATTEMPTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .jobs import Job


@dataclass(frozen=True, kw_only=True)
class CampaignRequest:
    """A campaign as its file and tree give it now; `timeout` in seconds, `tree` as in Broadcast.

    `pairs` are those (fuzzer, target) whose images the broadcast is to name; `terms` as in CampaignEntry.
    """

    source: str
    text: str
    tree: str
    timeout: float
    jobs: tuple[Job, ...]
    max_attempts: int = MAX_ATTEMPTS
    pairs: tuple[tuple[str, str], ...] = ()
    terms: Mapping[str, str] = field(default_factory=dict)
