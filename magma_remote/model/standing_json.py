"""A campaign's standing as a JSON object, for programs that read `status --json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import wire

if TYPE_CHECKING:
    from .entries import CampaignEntry, JobEntry
    from .standing import Pair, RunStanding, Standing, WorkerStanding

VERSION = 1
"""Grows when a member changes its meaning or goes; new ones may come without."""


def to_json(standing: Standing) -> dict[str, Any]:
    """All of it but the campaign file's text; times as in `Standing`, CPU sets as lists, names of bugs sorted."""
    return {
        "version": VERSION,
        "now": standing.now,
        "campaign": _campaign(standing.campaign),
        "total": standing.total,
        "counts": {state.value: count for state, count in standing.counts.items()},
        "eta": standing.eta,
        "workers": [_worker(worker) for worker in standing.workers],
        "running": [_run(run) for run in standing.running],
        "unfetched": standing.unfetched,
        "pairs": [_pair(pair) for pair in standing.pairs],
        "dead": [_dead(entry) for entry in standing.dead],
        "warnings": [wire.plain(warned) for warned in standing.warnings],
    }


def _campaign(entry: CampaignEntry) -> dict[str, Any]:
    return {name: value for name, value in wire.plain(entry).items() if name != "text"}


def _worker(worker: WorkerStanding) -> dict[str, Any]:
    beat = wire.plain(worker.heartbeat)
    return beat | {"heard_ago": worker.heard_ago, "live": worker.live, "lost": worker.lost}


def _run(run: RunStanding) -> dict[str, Any]:
    return wire.plain(run)


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "fuzzer": pair.fuzzer,
        "target": pair.target,
        "counts": {state.value: count for state, count in pair.counts.items()},
        "reached": sorted(pair.bugs.reached),
        "triggered": sorted(pair.bugs.triggered),
        "under_way": sorted(pair.under_way),
    }


def _dead(entry: JobEntry) -> dict[str, Any]:
    return wire.plain(entry.job) | {
        "number": entry.number,
        "attempts": entry.attempts,
        "reason": entry.reason.value if entry.reason else None,
        "message": entry.message,
        "avoid": list(entry.avoid),
    }
