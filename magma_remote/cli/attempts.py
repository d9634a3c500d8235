"""Tells of a job's attempts, for `graveyard` and `logs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magma_remote.cli.progress import trial_label
from magma_remote.model.entries import JobState, RunState
from magma_remote.model.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from magma_remote.model.entries import JobEntry, RunEntry

_WORDS = {
    RunState.RUNNING: "runs now",
    RunState.REPORTED: "complete, not fetched yet",
    RunState.KEPT: "complete, its result is kept",
    RunState.RETURNED: "given back unfinished",
    RunState.DROPPED: "not needed any more",
    RunState.LOST: "lost",
}


def job_lines(entry: JobEntry, runs: Sequence[RunEntry], names: Mapping[str, str], *, tail: bool) -> Iterator[str]:
    """A job, then its attempts: who, what became of it, where the log is and, with `tail`, how that ends."""
    yield f"job {entry.number} {_state(entry)}: {trial_label(entry.job)}"
    for run in runs:
        phase = f" ({plain(run.phase)})" if run.state is RunState.RUNNING and run.phase else ""
        name = plain(names.get(run.worker, run.worker))
        yield f"    attempt {run.attempt} on {name}: {_became(run)}{phase}"
        if run.log:
            yield f"        log on {name}: {plain(run.log)}"
        if tail:
            yield from (f"        | {plain(line)}" for line in run.tail)
    last = runs[-1] if runs else None
    if entry.state is JobState.DEAD and not (last and last.reason is entry.reason):
        yield f"    given up: {_why(entry)}"


def _state(entry: JobEntry) -> str:
    if entry.state is JobState.DEAD:
        return "is dead"
    return f"is {entry.state.value}"


def _became(run: RunEntry) -> str:
    if run.state is RunState.FAILED:
        return _why(run)
    word = _WORDS[run.state]
    return f"{word}: {plain(run.message)}" if run.message else word


def _why(entry: JobEntry | RunEntry) -> str:
    reason = entry.reason.value if entry.reason else "failed"
    return f"{reason}: {plain(entry.message)}" if entry.message else reason


def job_json(entry: JobEntry, runs: Sequence[RunEntry], names: Mapping[str, str], config_id: str) -> dict[str, Any]:
    """The same for programs, with all that the ledger has of the logs."""
    return {
        "number": entry.number,
        "job": f"{config_id},{entry.job}",
        "state": entry.state.value,
        "attempts": entry.attempts,
        "reason": entry.reason.value if entry.reason else None,
        "message": entry.message,
        "runs": [_run_json(run, names) for run in runs],
    }


def _run_json(run: RunEntry, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "run": run.run,
        "attempt": run.attempt,
        "worker": run.worker,
        "name": names.get(run.worker, ""),
        "state": run.state.value,
        "reason": run.reason.value if run.reason else None,
        "message": run.message,
        "log": run.log,
        "tail": list(run.tail),
        "started_at": run.started_at,
        "ended_at": run.ended_at,
    }
