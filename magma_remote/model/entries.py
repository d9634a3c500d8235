"""What the ledger holds: the dispatcher's memory of a campaign, which outlives it and the queue."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from .heartbeat import WorkerState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .heartbeat import Heartbeat
    from .jobs import Job
    from .messages import Place
    from .outcome import Reason
    from .pinned import PinnedImage


class CampaignState(StrEnum):
    """Where a campaign is."""

    OPEN = "open"
    CANCELLED = "cancelled"
    ENDED = "ended"


class JobState(StrEnum):
    """Where a job is. DONE and DEAD are ends; FETCHED has a verified result that is not merged yet."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    FETCHED = "fetched"
    DONE = "done"
    DEAD = "dead"

    @property
    def settled(self) -> bool:
        """Whether no further run of the job is wanted."""
        return self in {JobState.FETCHED, JobState.DONE, JobState.DEAD}


class RunState(StrEnum):
    """Where one execution of a job is.

    RUNNING on its worker; REPORTED waits to be fetched; KEPT is the job's result. The others are over: FAILED on
    its worker, LOST with it, RETURNED unfinished, or DROPPED because the job was settled by another.
    """

    RUNNING = "running"
    REPORTED = "reported"
    KEPT = "kept"
    FAILED = "failed"
    LOST = "lost"
    RETURNED = "returned"
    DROPPED = "dropped"

    @property
    def live(self) -> bool:
        """Whether something may still come of it."""
        return self in {RunState.RUNNING, RunState.REPORTED}


@dataclass(frozen=True, kw_only=True)
class Edition:
    """A file that a campaign had before it was extended: `sha256` (hex) of its text, `tree` as in Broadcast.

    It made `jobs` jobs, and held `until` then, in seconds since the epoch.
    """

    source: str
    sha256: str
    tree: str
    jobs: int
    until: float


@dataclass(frozen=True, kw_only=True)
class CampaignEntry:
    """`text` is the campaign file, `tree` as in Broadcast; `timeout` in seconds, the others since the epoch.

    `terms` are what its trials have in common, see `model.comparable`; `editions` its earlier files, oldest first.
    """

    config_id: str
    source: str
    text: str
    tree: str
    since: float
    timeout: float
    max_attempts: int
    state: CampaignState = CampaignState.OPEN
    ended_at: float | None = None
    terms: Mapping[str, str] = field(default_factory=dict)
    editions: tuple[Edition, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PinEntry:
    """An image that the campaign runs with for good: `recipe` is the digest of what it was made from.

    Its containers run as `uid` and `gid`.
    """

    image: PinnedImage
    recipe: str
    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True)
class JobEntry:
    """A job as the ledger knows it; `number` is its place in the campaign, from 0.

    `attempts` counts runs that count. `queue_id` is its message's id, None where it has none.
    `avoid` are workers that failed it. `reason` and `message` say why it failed last. `run` is its result's.
    """

    number: int
    job: Job
    state: JobState = JobState.WAITING
    attempts: int = 0
    queue_id: int | None = None
    avoid: tuple[str, ...] = ()
    reason: Reason | None = None
    message: str = ""
    run: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunEntry:
    """One execution of a job. Times are in seconds since the epoch, by the worker's clock but for `fetch_at`.

    `place` and `manifest` are known once it is REPORTED; `fetches` counts failed fetches, the next is at `fetch_at`.
    """

    run: str
    number: int
    attempt: int
    worker: str
    state: RunState
    started_at: float | None = None
    phase: str = ""
    phase_since: float | None = None
    cpus: tuple[int, ...] = ()
    ended_at: float | None = None
    reason: Reason | None = None
    message: str = ""
    tail: tuple[str, ...] = ()
    log: str = ""
    place: Place | None = None
    manifest: str = ""
    fetches: int = 0
    fetch_at: float = 0.0
    reached: tuple[str, ...] = ()
    triggered: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WorkerEntry:
    """The last word of a worker; `heard_at` is when, by the dispatcher's clock. `lost` once it is silent too long."""

    worker: str
    heartbeat: Heartbeat
    heard_at: float
    lost: bool = False

    @property
    def able(self) -> bool:
        """Whether it takes jobs, now or once it is prepared."""
        return not self.lost and self.heartbeat.state in {WorkerState.READY, WorkerState.PREPARING}


@dataclass(frozen=True, kw_only=True)
class Warned:
    """Something that needs a person; `key` says what about, `at` since when (epoch seconds)."""

    key: str
    text: str
    at: float
