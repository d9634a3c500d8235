"""Entries of a ledger as rows of its tables, and back: WireError, ValueError or TypeError for rows that make none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from magma_remote.model import wire
from magma_remote.model.canaries import Bugs
from magma_remote.model.entries import (
    CampaignEntry,
    CampaignState,
    Edition,
    JobEntry,
    JobState,
    PinEntry,
    RunEntry,
    RunState,
    Warned,
    WorkerEntry,
)
from magma_remote.model.heartbeat import Heartbeat
from magma_remote.model.jobs import Job
from magma_remote.model.messages import Place
from magma_remote.model.outcome import Reason
from magma_remote.model.pinned import PinnedImage
from magma_remote.model.standing import Pair

if TYPE_CHECKING:
    from collections.abc import Iterable

Row = tuple[Any, ...]

CAMPAIGN = "config_id, source, text, tree, since, timeout, max_attempts, state, ended_at, terms, editions"
PIN = "fuzzer, target, manifest, recipe, uid, gid"
JOB_FIXED = "number, repeat, fuzzer, target, program, args, fuzzargs"
JOB_MOVING = "state, settled, attempts, queue_id, avoid, reason, message, run"
RUN = (
    "run, number, attempt, worker, state, started_at, phase, phase_since, cpus, ended_at, reason, message, tail, log, "
    "place, manifest, fetches, fetch_at, reached, triggered"
)
WORKER = "worker, name, heartbeat, heard_at, lost"
WARNED = "key, text, at"


def text(value: str) -> str:
    """A name as SQLite takes it: halves of characters, which JSON can carry and UTF-8 cannot, are `?`."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def campaign_row(entry: CampaignEntry) -> Row:
    """In the order of CAMPAIGN."""
    times = (entry.since, entry.timeout, entry.max_attempts, entry.state.value, entry.ended_at)
    more = (_WRITER.encode(dict(entry.terms)), _WRITER.encode([wire.plain(edition) for edition in entry.editions]))
    return (text(entry.config_id), text(entry.source), _dump(entry.text), text(entry.tree), *times, *more)


def campaign_entry(row: Row) -> CampaignEntry:
    """From the order of CAMPAIGN."""
    config_id, source, written, tree, since, timeout, max_attempts, state, ended_at, terms, editions = row
    return CampaignEntry(
        config_id=config_id,
        source=source,
        text=json.loads(written),
        tree=tree,
        since=since,
        timeout=timeout,
        max_attempts=max_attempts,
        state=CampaignState(state),
        ended_at=ended_at,
        terms=dict(json.loads(terms)),
        editions=tuple(wire.build(Edition, edition) for edition in json.loads(editions)),
    )


def pin_row(entry: PinEntry) -> Row:
    """In the order of PIN."""
    image = entry.image
    return (text(image.fuzzer), text(image.target), image.manifest, entry.recipe, entry.uid, entry.gid)


def pin_entry(row: Row) -> PinEntry:
    """From the order of PIN."""
    fuzzer, target, manifest, recipe, uid, gid = row
    return PinEntry(image=PinnedImage(fuzzer=fuzzer, target=target, manifest=manifest), recipe=recipe, uid=uid, gid=gid)


def fixed_row(entry: JobEntry) -> Row:
    """In the order of JOB_FIXED."""
    job = entry.job
    names = (text(job.fuzzer), text(job.target), text(job.program), text(job.args), text(job.fuzzargs))
    return (entry.number, job.repeat, *names)


def moving_row(entry: JobEntry) -> Row:
    """In the order of JOB_MOVING."""
    return (
        entry.state.value,
        entry.state.settled,
        entry.attempts,
        entry.queue_id,
        _dump(entry.avoid),
        _value(entry.reason),
        _dump(entry.message),
        None if entry.run is None else text(entry.run),
    )


def job_entry(row: Row) -> JobEntry:
    """From the order of JOB_FIXED and JOB_MOVING."""
    number, repeat, fuzzer, target, program, args, fuzzargs, *moving = row
    state, _, attempts, queue_id, avoid, reason, message, run = moving
    return JobEntry(
        number=number,
        job=Job(repeat=repeat, fuzzer=fuzzer, target=target, program=program, args=args, fuzzargs=fuzzargs),
        state=JobState(state),
        attempts=attempts,
        queue_id=queue_id,
        avoid=_tuple(avoid),
        reason=_reason(reason),
        message=_text(message),
        run=run,
    )


def run_row(entry: RunEntry) -> Row:
    """In the order of RUN."""
    return (
        text(entry.run),
        entry.number,
        entry.attempt,
        text(entry.worker),
        entry.state.value,
        entry.started_at,
        text(entry.phase),
        entry.phase_since,
        _dump(entry.cpus),
        entry.ended_at,
        _value(entry.reason),
        *(_dump(value) for value in (entry.message, entry.tail, entry.log)),
        None if entry.place is None else _dump(wire.plain(entry.place)),
        text(entry.manifest),
        entry.fetches,
        entry.fetch_at,
        _dump(entry.reached),
        _dump(entry.triggered),
    )


def run_entry(row: Row) -> RunEntry:
    """From the order of RUN."""
    run, number, attempt, worker, state, started_at, phase, phase_since, cpus, ended_at, *rest = row
    reason, message, tail, log, place, manifest, fetches, fetch_at, reached, triggered = rest
    return RunEntry(
        run=run,
        number=number,
        attempt=attempt,
        worker=worker,
        state=RunState(state),
        started_at=started_at,
        phase=phase,
        phase_since=phase_since,
        cpus=_tuple(cpus),
        ended_at=ended_at,
        reason=_reason(reason),
        message=_text(message),
        tail=_tuple(tail),
        log=_text(log),
        place=None if place is None else wire.build(Place, json.loads(place)),
        manifest=manifest,
        fetches=fetches,
        fetch_at=fetch_at,
        reached=_tuple(reached),
        triggered=_tuple(triggered),
    )


def worker_row(entry: WorkerEntry) -> Row:
    """In the order of WORKER."""
    beat = entry.heartbeat
    return (text(entry.worker), text(beat.name), _dump(wire.plain(beat)), entry.heard_at, entry.lost)


def worker_entry(row: Row) -> WorkerEntry:
    """From the order of WORKER."""
    worker, _, beat, heard_at, lost = row
    return WorkerEntry(
        worker=worker, heartbeat=wire.build(Heartbeat, json.loads(beat)), heard_at=heard_at, lost=bool(lost)
    )


def warned_row(entry: Warned) -> Row:
    """In the order of WARNED."""
    return (text(entry.key), _dump(entry.text), entry.at)


def warned_entry(row: Row) -> Warned:
    """From the order of WARNED."""
    key, told, at = row
    return Warned(key=key, text=json.loads(told), at=at)


def pairs(tally: Iterable[Row], bugs: Iterable[Row]) -> tuple[Pair, ...]:
    """From rows (fuzzer, target, state, jobs) and (fuzzer, target, reached, triggered), in the first ones' order."""
    counts: dict[tuple[str, str], dict[JobState, int]] = {}
    for fuzzer, target, state, jobs in tally:
        counts.setdefault((fuzzer, target), {})[JobState(state)] = jobs
    found: dict[tuple[str, str], Bugs] = {}
    for fuzzer, target, reached, triggered in bugs:
        more = Bugs(reached=frozenset(json.loads(reached)), triggered=frozenset(json.loads(triggered)))
        found[fuzzer, target] = found.get((fuzzer, target), Bugs()) | more
    return tuple(
        Pair(fuzzer=key[0], target=key[1], counts=counted, bugs=found.get(key, Bugs()))
        for key, counted in counts.items()
    )


_WRITER = json.JSONEncoder(separators=(",", ":"))
_EMPTY: dict[type, str] = {str: '""', tuple: "[]"}  # most of what a row holds


def _dump(value: Any) -> str:
    return _WRITER.encode(value) if value else _EMPTY[type(value)]


def _tuple(value: str) -> tuple[Any, ...]:
    return () if value == "[]" else tuple(json.loads(value))


def _text(value: str) -> str:
    return "" if value == '""' else str(json.loads(value))


def _value(reason: Reason | None) -> str | None:
    return None if reason is None else reason.value


def _reason(value: str | None) -> Reason | None:
    return None if value is None else Reason(value)
