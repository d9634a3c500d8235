"""The one broadcast that workers look at: the newest wins, and there is always one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from magma_remote.errors import UsageError, WireError
from magma_remote.model.messages import Broadcast, JobMessage, Tube

if TYPE_CHECKING:
    from collections.abc import Callable

    from magma_remote.ports import Delivery, Queue

log = logging.getLogger(__name__)

_FIRST = 1 << 31  # each newer broadcast has a smaller number, and is served before the older


class ReplacedError(UsageError):
    """Another campaign was broadcast on this queue."""


def read_slot(queue: Queue) -> Broadcast | None:
    """The broadcast that workers see now; one that cannot be read is put aside."""
    top = queue.peek_ready(Tube.BROADCAST)
    if top is None:
        return None
    try:
        return Broadcast.decode(top.body)
    except WireError as error:
        log.error("buried what was on %s: %s", top.tube, error)  # noqa: TRY400 - a traceback says no more
        if taken := queue.take(Tube.BROADCAST, top.id):
            queue.bury(taken)
        return read_slot(queue)


def refuse_other(queue: Queue, config_id: str) -> None:
    """UsageError that names the campaign which is active on this queue, where it is not ours."""
    found = read_slot(queue)
    if found and found.open and found.config_id != config_id:
        raise UsageError(
            f"campaign {found.config_id} ({found.source}) is active on this queue; its dispatcher is on "
            f"{found.dispatcher}, its WORKDIR {found.workdir}: wait for its end, type `magma-remote cancel` there, or "
            "end it with --force"
        )


def broadcast(queue: Queue, message: Broadcast) -> str:
    """Put a broadcast in front of what is there, which goes afterwards: the slot is never empty. Its config id."""
    old = queue.peek_ready(Tube.BROADCAST)
    stats = queue.stats(old) if old else None
    queue.put(Tube.BROADCAST, message.encode(), priority=(stats.priority if stats else _FIRST) - 1)
    if old:
        queue.delete(old)
    return message.config_id


def hold_slot(queue: Queue, ours: Broadcast) -> None:
    """Put our broadcast back where anybody deleted it; ReplacedError where another campaign is open there."""
    found = read_slot(queue)
    if found == ours:
        return
    if found and found.open and found.config_id != ours.config_id and found.since > ours.since:
        raise ReplacedError(
            f"campaign {ours.config_id} was replaced on this queue by {found.config_id} ({found.source}), from "
            f"{found.dispatcher}: its jobs are in the ledger, the same command goes on with them once the other ends"
        )
    broadcast(queue, ours)
    log.info("broadcast campaign %s", ours.config_id)


def clear_jobs(queue: Queue, is_wanted: Callable[[str], bool]) -> int:
    """Delete all ready jobs but those of wanted campaigns, which are given back; how many. One's name may be empty."""
    count = 0
    wanted: list[Delivery] = []
    while message := queue.reserve(Tube.JOBS):
        if is_wanted(_config_id(message.body)):
            wanted.append(message)
        else:
            count += queue.delete(message)
    for message in wanted:
        queue.release(message)
    return count


def _config_id(body: bytes) -> str:
    try:
        return JobMessage.decode(body).config_id
    except WireError:
        return ""
