"""Did a trial really run its TIMEOUT? One pure decision over what was observed.

Exit codes say nothing (Magma's run.sh hides the fuzzer's and ends with `kill`): the launched and terminated
lines, the time between them and the monitor's files do.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .units import human_seconds


class Reason(Enum):
    """Why a trial is no result. The values are for machines and never change."""

    IMAGE = "image"
    ENGINE = "engine"
    NOT_LAUNCHED = "not_launched"
    ENDED_EARLY = "ended_early"
    OVERRAN = "overran"
    NO_MONITOR = "no_monitor"
    CACHE = "cache"
    CACHE_FULL = "cache_full"
    INTERNAL = "internal"
    ARCHIVE = "archive"
    INTERRUPTED = "interrupted"
    DISK = "disk"
    LOST = "lost"
    CONFIG = "config"
    SUPERSEDED = "superseded"
    FETCH = "fetch"
    CORRUPT = "corrupt"
    UNABLE = "unable"
    CANCELLED = "cancelled"
    DROPPED = "dropped"


MACHINE_FAULTS = frozenset(
    {Reason.ENGINE, Reason.CACHE, Reason.CACHE_FULL, Reason.DISK, Reason.ARCHIVE, Reason.INTERNAL}
)
"""Reasons that say more about a machine than about a fuzzer."""


class Kill(Enum):
    """Why we ended a container ourselves."""

    STOPPED = "stopped"
    NOT_LAUNCHED_IN_TIME = "not_launched_in_time"
    OVERRAN = "overran"


_LATE_SECONDS = 5.0
_CLOCK_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Observation:
    """Facts of one container's run; times are seconds since the epoch by the engine's clock.

    `clock_step` is by how many seconds that clock was set forward, or the machine slept, while the container ran.
    """

    timeout: float
    launched_at: float | None
    terminated_at: float | None
    killed: Kill | None = None
    clock_step: float = 0.0
    monitored: bool = True
    last_stamp: int | None = None
    poll: int = 5
    cache_full: bool = False


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`reason` is None for a complete trial; `warnings` are named beside a complete trial, never hidden."""

    reason: Reason | None = None
    message: str = ""
    warnings: tuple[str, ...] = ()


def tolerance(timeout: float) -> float:
    """How far under TIMEOUT still counts as all of it: the log lines carry the engine's time of receipt."""
    return min(1.0, timeout / 10)


def judge(seen: Observation) -> Verdict:
    """Complete only if launched, terminated, all of TIMEOUT, monitored, and with room to the end."""
    reason, message = _failure(seen)
    if reason:
        return Verdict(reason=reason, message=message)
    return Verdict(warnings=tuple(_warnings(seen)))


def _failure(seen: Observation) -> tuple[Reason | None, str]:
    if seen.killed is Kill.STOPPED and seen.terminated_at is None:
        return Reason.INTERRUPTED, "stopped before its end"
    if seen.launched_at is None:
        late = seen.killed is Kill.NOT_LAUNCHED_IN_TIME
        return Reason.NOT_LAUNCHED, "seed pruning did not end" if late else "the fuzzer was never launched"
    reason, message = _short(seen, seen.launched_at)
    if reason:
        return reason, message
    if not seen.monitored:
        return Reason.NO_MONITOR, "Magma's monitor wrote nothing"
    if seen.cache_full:
        return Reason.CACHE_FULL, "its cache was full: dumps and findings may be missing"
    return None, ""


def _short(seen: Observation, launched_at: float) -> tuple[Reason | None, str]:
    """Whether a launched trial ran more or less than its TIMEOUT."""
    asked = human_seconds(seen.timeout)
    if seen.killed is Kill.OVERRAN and seen.terminated_at is None:
        return Reason.OVERRAN, f"the fuzzer did not end after its {asked}"
    if seen.terminated_at is None:
        return Reason.ENDED_EARLY, f"the container died before its {asked} were over"
    ran = seen.terminated_at - launched_at - seen.clock_step
    if ran < seen.timeout - tolerance(seen.timeout):
        return Reason.ENDED_EARLY, f"the fuzzer ended after {ran:.1f} s of {asked}"
    return None, ""


def _warnings(seen: Observation) -> list[str]:
    ran = (seen.terminated_at or 0.0) - (seen.launched_at or 0.0) - seen.clock_step
    warnings = []
    if ran - seen.timeout > _LATE_SECONDS:
        warnings.append(f"the fuzzer took {ran - seen.timeout:.0f} s to end after its TIMEOUT")
    if abs(seen.clock_step) > _CLOCK_SECONDS:
        warnings.append(f"the machine's clock was set by {seen.clock_step:+.0f} s, or the machine slept, meanwhile")
    return warnings + _silence(seen)


def _silence(seen: Observation) -> list[str]:
    if seen.last_stamp is None:
        return ["no canary was ever reached: Magma's exp2json leaves such a trial out"]
    # Stamps are nominal and drift with load; a silent last half says more than drift.
    if seen.last_stamp < seen.timeout / 2 and seen.timeout > 4 * seen.poll:
        return [f"no canary data after {human_seconds(seen.last_stamp)} of {human_seconds(seen.timeout)}"]
    return []
