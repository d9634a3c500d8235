"""How a campaign stands, for programs: times are in seconds since the epoch, durations in seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from magma_remote.model.entries import JobEntry
    from magma_remote.model.standing import Pair, RunStanding, Standing, WorkerStanding


def members(standing: Standing, *, dispatched: bool) -> dict[str, Any]:
    """What `status --json` prints, beside its version."""
    campaign = standing.campaign
    return {
        "now": standing.now,
        "campaign": {
            "config_id": campaign.config_id,
            "source": campaign.source,
            "state": campaign.state.value,
            "since": campaign.since,
            "ended_at": campaign.ended_at,
            "timeout": campaign.timeout,
            "max_attempts": campaign.max_attempts,
        },
        "dispatcher_runs": dispatched,
        "total": standing.total,
        "counts": {state.value: count for state, count in standing.counts.items()},
        "unfetched": standing.unfetched,
        "eta": standing.eta,
        "warnings": [{"key": warned.key, "text": warned.text, "at": warned.at} for warned in standing.warnings],
        "workers": [_worker(worker) for worker in standing.workers],
        "running": [_run(run) for run in standing.running],
        "pairs": [_pair(pair) for pair in standing.pairs],
        "dead": [_dead(entry, campaign.config_id) for entry in standing.dead],
    }


def _worker(worker: WorkerStanding) -> dict[str, Any]:
    beat = worker.heartbeat
    return {
        "worker": beat.worker,
        "name": beat.name,
        "host": beat.host,
        "state": beat.state.value,
        "detail": beat.detail,
        "lost": worker.lost,
        "live": worker.live,
        "heard_ago": worker.heard_ago,
        "cpu_sets": [list(cpus) for cpus in beat.sets],
        "housekeeping_cpus": list(beat.housekeeping),
        "cannot": {unable.fuzzer: unable.why for unable in beat.cannot},
        "release": beat.version,
    }


def _run(run: RunStanding) -> dict[str, Any]:
    return {
        "run": run.run,
        "number": run.number,
        "attempt": run.attempt,
        "job": run.text,
        "worker": run.worker,
        "name": run.name,
        "phase": run.phase,
        "since": run.since,
        "left": run.left,
        "cpus": list(run.cpus),
        "triggered": sorted(run.triggered),
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "fuzzer": pair.fuzzer,
        "target": pair.target,
        "counts": {state.value: count for state, count in pair.counts.items()},
        "reached": sorted(pair.bugs.reached),
        "triggered": sorted(pair.bugs.triggered),
        "under_way": sorted(pair.under_way),
    }


def _dead(entry: JobEntry, config_id: str) -> dict[str, Any]:
    return {
        "number": entry.number,
        "job": f"{config_id},{entry.job}",
        "attempts": entry.attempts,
        "reason": entry.reason.value if entry.reason else None,
        "message": entry.message,
    }
