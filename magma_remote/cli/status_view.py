"""How a campaign stands, drawn for a person: on a terminal of 80 columns, or as plain text without a limit."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from magma_remote.cli.beside import DISPATCH
from magma_remote.cli.progress import trial_label
from magma_remote.model.canaries import Bugs
from magma_remote.model.cpus import cpu_list
from magma_remote.model.entries import CampaignState, JobState
from magma_remote.model.heartbeat import WorkerState
from magma_remote.model.plain import plain
from magma_remote.model.units import human_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from magma_remote.model.standing import Pair, RunStanding, Standing, WorkerStanding

_DEAD_SHOWN = 5
_BAR = 30
_SETS_SHOWN = 8
_ORDER = (
    JobState.DONE,
    JobState.FETCHED,
    JobState.RUNNING,
    JobState.QUEUED,
    JobState.WAITING,
    JobState.DEAD,
)
_STYLES = {WorkerState.READY: "green", WorkerState.UNFIT: "red"}


def view(standing: Standing, workdir: Path, *, dispatched: bool, bar: bool) -> RenderableType:
    """All of it, what needs a person first. `dispatched`: whether a dispatcher runs. `bar` draws one."""
    parts: list[RenderableType] = [_head(standing), *_warnings(standing, dispatched=dispatched), Text()]
    parts += _jobs(standing, bar=bar)
    for worker in standing.workers:
        parts += [Text(), *_worker(worker, [run for run in standing.running if run.worker == worker.heartbeat.worker])]
    parts += [*_bugs(standing), *_dead(standing), Text()]
    parts += [Text(line) for line in _next(standing, workdir, dispatched=dispatched)]
    return Group(*parts)


def _head(standing: Standing) -> Text:
    campaign = standing.campaign
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(campaign.since))
    lasted = human_seconds(max(0.0, (campaign.ended_at or standing.now) - campaign.since))
    state = "being cancelled" if _is_being_cancelled(standing) else campaign.state.value
    head = Text(f"{plain(campaign.source)}", style="bold")
    head.append(f"  campaign {campaign.config_id}, {state}, since {since} ({lasted})", style="not bold")
    return head


def _is_being_cancelled(standing: Standing) -> bool:
    return standing.campaign.state is CampaignState.CANCELLED and standing.campaign.ended_at is None


def _warnings(standing: Standing, *, dispatched: bool) -> Iterator[RenderableType]:
    table = _hanging()
    if not dispatched and standing.campaign.ended_at is None:
        table.add_row("!", Text(f"no dispatcher runs: type {DISPATCH}, and the campaign goes on where it was"))
    for warned in standing.warnings:
        since = human_seconds(max(0.0, standing.now - warned.at))
        table.add_row("!", Text(f"{plain(warned.text)} (for {since})"))
    if table.rows:
        table.style = "yellow"
        yield table


def _hanging() -> Table:
    """Rows of a mark and a text whose further lines stay right of the mark."""
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _jobs(standing: Standing, *, bar: bool) -> Iterator[RenderableType]:
    counts, total = standing.counts, standing.total
    settled = counts[JobState.DONE] + counts[JobState.DEAD]
    said = [f"{counts[state]} {state.value}" for state in _ORDER if counts[state] or state is JobState.DONE]
    yield Text(f"{total} jobs: {', '.join(said)}")
    if standing.unfetched:
        yield Text(f"{standing.unfetched} results are complete and still on their workers")
    if standing.campaign.ended_at is not None:
        return
    left = "nobody can tell how long: no worker is ready for what is left"
    if standing.eta is not None:
        left = f"about {human_seconds(standing.eta)} left" if standing.eta else "no trial is left to run"
    share = settled / total if total else 1.0
    line = Text()
    if bar:
        line.append("━" * round(share * _BAR), style="green")
        line.append("━" * (_BAR - round(share * _BAR)), style="dim")
        line.append(" ")
    yield line + Text(f"{int(share * 100)} %, {left}")


def _worker(worker: WorkerStanding, runs: Sequence[RunStanding]) -> Iterator[RenderableType]:
    beat = worker.heartbeat
    state = "lost" if worker.lost and beat.state is not WorkerState.STOPPED else beat.state.value
    line = Text(plain(beat.name), style="bold")
    line.append(f"  {state}", style=_STYLES.get(beat.state, "") if worker.live else "red")
    line.append(f"  {_sets(beat.sets)}", style="not bold")
    line.append(f"  heard {human_seconds(worker.heard_ago)} ago", style="not bold")
    yield line
    if beat.detail:
        yield Text(f"  {plain(beat.detail)}")
    if runs:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, justify="right")
        table.add_column()  # the one that gives way where a terminal is narrow
        for _ in range(3):
            table.add_column(no_wrap=True)
        for run in runs:
            table.add_row(*_run(run))
        yield table


def _sets(sets: Sequence[tuple[int, ...]]) -> str:
    if len(sets) > _SETS_SHOWN:
        return f"{len(sets)} CPU sets on {cpu_list(cpu for cpus in sets for cpu in cpus)}"
    return f"CPU sets {' '.join(map(cpu_list, sets))}" if sets else "no CPU sets yet"


def _run(run: RunStanding) -> tuple[Text, ...]:
    since = "" if run.since is None else f" {human_seconds(run.since)}"
    again = f", attempt {run.attempt}" if run.attempt > 1 else ""
    found = len(run.triggered)
    return (
        Text(f"  {run.number}"),
        Text(trial_label(run.job), no_wrap=True, overflow="ellipsis"),
        Text(f"CPU {cpu_list(run.cpus)}"),
        Text(f"{plain(run.phase) or 'starting'}{since}{again}"),
        Text(f"{found} bug{'' if found == 1 else 's'}" if found else ""),
    )


def _bugs(standing: Standing) -> Iterator[RenderableType]:
    """What the results have found, and what a running trial has triggered that none of them has."""
    every = _union(pair.bugs for pair in standing.pairs)
    under_way = frozenset[str]().union(*(pair.under_way for pair in standing.pairs)) - every.triggered
    more = f" ({len(under_way)} more in trials under way)" if under_way else ""
    yield Text(f"\nBugs so far: {len(every.reached)} reached, {len(every.triggered)} triggered{more}")
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(3):
        table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(overflow="fold")
    for pair in standing.pairs:
        if pair.bugs.reached or pair.under_way:
            done, jobs = pair.counts.get(JobState.DONE, 0), sum(pair.counts.values())
            found = f"{len(pair.bugs.reached)} reached, {len(pair.bugs.triggered)} triggered"
            table.add_row(Text(f"  {pair.fuzzer} {pair.target}"), f"{done} of {jobs}", found, Text(_names(pair)))
    if table.rows:
        yield table


def _union(every: Iterable[Bugs]) -> Bugs:
    bugs = Bugs()
    for found in every:
        bugs |= found
    return bugs


def _names(pair: Pair) -> str:
    return " ".join([*sorted(map(plain, pair.bugs.triggered)), *(f"({plain(bug)})" for bug in sorted(pair.under_way))])


def _dead(standing: Standing) -> Iterator[RenderableType]:
    count = standing.counts[JobState.DEAD]
    if not count:
        return
    yield Text(f"\n{count} dead {'job' if count == 1 else 'jobs'}:", style="red")
    table = _hanging()
    for entry in standing.dead[:_DEAD_SHOWN]:
        reason = entry.reason.value if entry.reason else "failed"
        table.add_row(f"  {entry.number}", Text(f"{trial_label(entry.job)}: {reason}: {plain(entry.message)}"))
    yield table
    if count > _DEAD_SHOWN:
        yield Text(f"  and {count - _DEAD_SHOWN} more: magma-remote graveyard list")


def _next(standing: Standing, workdir: Path, *, dispatched: bool) -> Iterator[str]:
    """What to type or do now."""
    dead = standing.counts[JobState.DEAD]
    if standing.campaign.ended_at is not None:
        yield f"Results: {workdir / 'ar'}"
    if dead:
        again = f", then {DISPATCH}," if standing.campaign.ended_at is not None or not dispatched else ""
        yield "Why: `magma-remote graveyard list --tail`"
        if not _is_being_cancelled(standing):
            yield f"Again: `magma-remote graveyard requeue --all`{again} runs the dead ones once more"
    elif standing.campaign.ended_at is None:
        yield "Go on looking: `magma-remote status --watch`. One job: `magma-remote logs JOB`, by its number"
