"""A campaign in one line, from what `status --json` says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .plain import plain
from .units import human_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_UNABLE = ("preparing", "unfit", "draining")


def progress_line(status: Mapping[str, Any]) -> str:
    """`12 of 16 trials complete, 3 running, 1 to come; worker2: lost`; it changes only where something happened."""
    counts = status["counts"]
    unfetched = min(counts["running"], status["unfetched"])  # such a job counts as running, and two runs may be one's
    parts = (
        (counts["done"], f"of {status['total']} trials complete"),
        (counts["running"] - unfetched, "running"),
        (counts["fetched"] + unfetched, "being fetched"),
        (counts["queued"] + counts["waiting"], "to come"),
        (counts["dead"], "given up"),
    )
    told = ", ".join(f"{count} {what}" for index, (count, what) in enumerate(parts) if count or not index)
    return "; ".join([told, *_workers(status)])


def time_left(status: Mapping[str, Any]) -> str:
    """`about 3 min left`, or why nobody can tell; empty where the campaign has ended."""
    campaign, eta = status["campaign"], status["eta"]
    if campaign["ended_at"] is not None:
        return ""
    if campaign["state"] == "cancelled":
        return "being cancelled"
    if eta is None:
        return "no worker is ready for what is left"
    return f"about {human_seconds(eta)} left" if eta else "no trial is left to run"


def _workers(status: Mapping[str, Any]) -> Iterator[str]:
    """Those that take no jobs now; those that have left say nothing."""
    if status["campaign"]["ended_at"] is not None:
        return
    for worker in status["workers"]:
        name, state = plain(worker["name"]), worker["state"]
        if worker["lost"] and state != "stopped":
            yield f"{name}: lost"
        elif state in _UNABLE:
            detail = plain(worker["detail"])
            yield f"{name}: {state} ({detail})" if detail else f"{name}: {state}"
