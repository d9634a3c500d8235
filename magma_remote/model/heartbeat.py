"""What a worker says of itself, again and again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .messages import Message, check_names


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """A run that a worker has in hand: `since` is when its phase began, in seconds since the epoch.

    One that is `leaving` was given up, and ends soon.
    """

    run: str
    number: int
    attempt: int
    phase: str
    since: float
    started_at: float
    cpus: tuple[int, ...] = ()
    triggered: tuple[str, ...] = ()
    leaving: bool = False


@dataclass(frozen=True, kw_only=True)
class Inability:
    """Jobs of this fuzzer are nothing for the worker, and why."""

    fuzzer: str
    why: str


class WorkerState(StrEnum):
    """What a worker is about."""

    WAITING = "waiting"
    PREPARING = "preparing"
    READY = "ready"
    UNFIT = "unfit"
    DRAINING = "draining"
    STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class Heartbeat(Message):
    """All that a worker says of itself, each time anew; `config_id` is empty without a campaign.

    `detail` explains `state`. `returned` are runs that it gave back unfinished when it left.
    """

    kind = "heartbeat"
    config_id: str
    worker: str
    name: str
    host: str
    state: WorkerState
    at: float
    detail: str = ""
    sets: tuple[tuple[int, ...], ...] = ()
    housekeeping: tuple[int, ...] = ()
    runs: tuple[RunStatus, ...] = ()
    returned: tuple[str, ...] = ()
    cannot: tuple[Inability, ...] = ()
    version: str = ""

    def check(self) -> None:
        """See `Message.check`."""
        check_names(self.worker, *filter(None, (self.config_id, *(status.run for status in self.runs))))
