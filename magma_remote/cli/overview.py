"""What `validate` says of a campaign that holds."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from magma_remote.model.campaign import Campaign, CanaryMode
from magma_remote.model.cpu_request import CpuRequest
from magma_remote.model.units import human_seconds
from magma_remote.runtime.images.tree_digest import pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from magma_remote.errors import ConfigError

    from .loading import Loaded

_FLAGS = ("cache_on_disk", "no_archive", "isan", "harden", "poc_extract")
_CANARIES = {CanaryMode.BARE: "bugs without canaries", CanaryMode.FIXES: "bugs fixed"}


def overview(loaded: Loaded) -> Iterator[str]:
    """Lines for a person: what runs, for how long, on how many CPUs, and what is not as by default."""
    campaign = loaded.campaign
    timeout = campaign.timeout
    yield f"{loaded.file}: all right"
    yield f"  tree      {loaded.root}"
    yield f"  trials    {_trials(loaded)}"
    yield from (f"            {line}" for line in _fuzzers(loaded))
    yield f"  a trial   {human_seconds(timeout.seconds)} (TIMEOUT {timeout.text}) on at least {_cpus(campaign)}"
    yield f"  together  {human_seconds(_work(loaded))} of CPU time"
    settings = list(_settings(campaign))
    if settings:
        yield f"  settings  {', '.join(settings)}"
    yield from (f"  note      {note}" for note in loaded.notes)


def summary(loaded: Loaded) -> dict[str, Any]:
    """What `validate --json` prints, beside its version: `timeout` in seconds, `magma` an absolute path.

    `trials` counts the jobs of each fuzzer; `pairs` are those that need an image, fuzzer and target, in their order.
    """
    campaign = loaded.campaign
    return {
        "source": str(loaded.file),
        "magma": str(loaded.root),
        "jobs": len(loaded.jobs),
        "trials": dict(Counter(job.fuzzer for job in loaded.jobs)),
        "pairs": [list(pair) for pair in pairs(campaign)],
        "timeout": campaign.timeout.seconds,
        "notes": list(loaded.notes),
        "cpus": CpuRequest.of(campaign).members(),
    }


def problems(error: ConfigError) -> dict[str, Any]:
    """What `validate --json` prints where the campaign does not hold; `line` is null where no line is to blame."""
    return {
        "problems": [
            {"key": problem.key, "line": problem.line, "text": str(problem), "source": problem.source or error.source}
            for problem in error.problems
        ]
    }


def _trials(loaded: Loaded) -> str:
    total, repeat = len(loaded.jobs), loaded.campaign.repeat
    return f"{total} = {_plural(total // repeat, 'program run')} x {_plural(repeat, 'repeat')}"


def _fuzzers(loaded: Loaded) -> Iterator[str]:
    """One line a fuzzer: its targets with their numbers of programs."""
    for fuzzer in loaded.campaign.fuzzers:
        targets = loaded.campaign.targets_for(fuzzer)
        counts = [len(loaded.campaign.programs_for(fuzzer, target, loaded.tree)) for target in targets]
        named = ", ".join(f"{target} ({count})" for target, count in zip(targets, counts, strict=True))
        yield f"{fuzzer}: {_plural(sum(counts), 'program')} of {named}"


def _plural(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _cpus(campaign: Campaign) -> str:
    usual = _plural(campaign.campaign_workers, "CPU")
    special = [f"{f}: {n}" for f, n in campaign.fuzzer_campaign_workers.items() if n != campaign.campaign_workers]
    return f"{usual} ({', '.join(special)})" if special else usual


def _work(loaded: Loaded) -> float:
    """CPU seconds of all trials."""
    campaign = loaded.campaign
    return sum(campaign.workers_for(job.fuzzer) for job in loaded.jobs) * campaign.timeout.seconds


def _settings(campaign: Campaign) -> Iterator[str]:
    """What differs from the defaults, apart from what is shown elsewhere."""
    plain = Campaign(repeat=1, fuzzers=(), targets=(), timeout=campaign.timeout)
    if campaign.worker_mode is not plain.worker_mode:
        yield f"WORKER_MODE {campaign.worker_mode.value}"
    if campaign.worker_pool:
        yield f"WORKER_POOL {','.join(map(str, campaign.worker_pool))}"
    if campaign.workers:
        yield f"WORKERS {campaign.workers}"
    if campaign.poll != plain.poll:
        yield f"POLL {campaign.poll}"
    yield from (name.upper() for name in _FLAGS if getattr(campaign, name))
    if campaign.tmpfs_size:
        yield f"TMPFS_SIZE {campaign.tmpfs_size.text}"
    if campaign.canary_mode is not plain.canary_mode:
        yield f"CANARY_MODE {campaign.canary_mode.value} ({_CANARIES[campaign.canary_mode]})"
    if campaign.fuzzargs:
        yield f"FUZZARGS for {'; '.join(campaign.fuzzargs)}"
