"""What trials of one result must share: terms that a campaign keeps, and that a later file of it is held against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .document import show

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .campaign import Campaign
    from .jobs import Job

Pair = tuple[str, str]

_FILES = "the Magma tree for "
_TEXTS = ("FUZZARGS", "the arguments")
_DIGITS = 12  # of a digest, for people


def settings(campaign: Campaign) -> dict[str, Any]:
    """The settings that hold for all trials alike, by their keys in the campaign file."""
    return {
        "TIMEOUT": campaign.timeout.seconds,
        "POLL": campaign.poll,
        "CANARY_MODE": int(campaign.canary_mode),
        "ISAN": campaign.isan,
        "HARDEN": campaign.harden,
        "WORKER_MODE": campaign.worker_mode.value,
        "CACHE_ON_DISK": campaign.cache_on_disk,
    }


def terms(campaign: Campaign, jobs: Iterable[Job], sources: Mapping[Pair, str]) -> dict[str, str]:
    """Each as its name for people and its value; `sources` are digests of what each (fuzzer, target) is built from.

    A fuzzer, target or program more brings terms of its own, and leaves those of the others as they are.
    """
    told = {key: str(value) for key, value in settings(campaign).items()}
    for fuzzer, target, program, args, fuzzargs in _kinds(jobs):
        told[f"CAMPAIGN_WORKERS of {fuzzer}"] = str(campaign.workers_for(fuzzer))
        told[f"FUZZARGS of {fuzzer},{target}"] = fuzzargs
        told[f"the arguments of {target}/{program}"] = args
    return told | {f"{_FILES}{fuzzer}/{target}": digest for (fuzzer, target), digest in sources.items()}


def _kinds(jobs: Iterable[Job]) -> list[tuple[str, str, str, str, str]]:
    """Without the repeats, which may be very many."""
    return sorted({(job.fuzzer, job.target, job.program, job.args, job.fuzzargs) for job in jobs})


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """`TIMEOUT was 60 s, is 3600 s`: terms that are another now; what only one of both has is no change."""
    return tuple(
        f"{key} was {shown(key, value)}, is {shown(key, now[key])}"
        for key, value in before.items()
        if key in now and now[key] != value
    )


def shown(key: str, value: str) -> str:
    """A term's value for people."""
    if key.startswith(_FILES):
        return value[:_DIGITS]
    if key == "TIMEOUT":
        return f"{value.removesuffix('.0')} s"
    return show(value) if key.startswith(_TEXTS) else value
