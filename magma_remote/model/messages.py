"""What dispatcher and workers tell each other; each message is one JSON object on one tube."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..errors import WireError
from . import wire
from .document import show
from .jobs import Job  # noqa: TC001 - its fields are read from the types
from .names import is_plain_name
from .pinned import PinnedImage, is_manifest

TTR = 120
"""Seconds without a touch after which a job is another's: short, and never as long as a trial."""

MAX_ATTEMPTS = 3
"""Runs of a job that may fail before it counts as dead."""

TAIL_LINES = 20
TAIL_WIDTH = 200  # a character may take 12 bytes


class Tube(StrEnum):
    """The tubes that all share; each worker has one more, see `orders_tube`."""

    BROADCAST = "broadcast"
    JOBS = "jobs"
    FEEDBACK = "feedback"
    GRAVEYARD = "graveyard"
    EVENTS = "events"


def orders_tube(worker: str) -> str:
    """Where one worker hears what is for it alone."""
    return f"orders.{worker}"


@dataclass(frozen=True, kw_only=True)
class Broadcast:
    """The campaign that workers work for now.

    `text` is the campaign file as it is written, `source` its name; `tree` the digest of all that its images are
    made from. `open` is False once it has ended, and `complete` is True if every job has its result then. `since` is
    in seconds since the epoch. Where the dispatcher has a registry, `images` are in it, for containers that run as
    `uid` and `gid`; where it has none both are 0, and workers build for themselves.
    """

    config_id: str
    source: str
    text: str
    tree: str
    since: float
    dispatcher: str
    workdir: str
    open: bool = True
    complete: bool = False
    ttr: int = TTR
    max_attempts: int = MAX_ATTEMPTS
    images: tuple[PinnedImage, ...] = ()
    uid: int = 0
    gid: int = 0

    @property
    def provides(self) -> bool:
        """Whether images come from the dispatcher's registry; some may be missing there, with the jobs dead."""
        return self.uid != 0

    def encode(self) -> bytes:
        """The JSON text; WireError where the campaign file is too large."""
        return wire.encode("broadcast", self)

    @classmethod
    def decode(cls, body: bytes) -> Broadcast:
        """WireError for anything else."""
        message = wire.build(cls, wire.members(body, "broadcast"))
        for image in message.images:
            if not is_manifest(image.manifest):
                raise WireError(f"an image on the wire has no digest: {show(image.manifest)}")
        return message


@dataclass(frozen=True, kw_only=True)
class JobMessage:
    """A job on its way to a worker: `number` is its place in the campaign, `attempt` counts from 1.

    Workers in `avoid` leave it to others for a while.
    """

    config_id: str
    number: int
    attempt: int
    job: Job
    avoid: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The canonical text: `config_id,repeat,fuzzer,target,program args,fuzzargs`."""
        return f"{self.config_id},{self.job}"

    def encode(self) -> bytes:
        """The JSON text."""
        return wire.encode("job", self)

    @classmethod
    def decode(cls, body: bytes) -> JobMessage:
        """WireError for anything else."""
        message = wire.build(cls, wire.members(body, "job"))
        message.job.check()
        _check_names(message.config_id, *message.avoid)
        if message.number < 0:
            raise WireError(f"a job on the wire has no place in its campaign: {message.number}")
        return message


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a result waits on its worker: a folder, and how to get there by ssh.

    `token` is what WORKDIRS/worker.json holds: who can read it there is on the worker's machine. Serving a fetch
    keeps to `cpus` where there are any.
    """

    folder: str
    workdirs: str
    token: str
    host: str
    port: int
    user: str
    cpus: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """A complete trial that can be fetched. `run` names this one execution of the job, for ever.

    `manifest` is the SHA-256 of the folder's manifest.json.
    """

    config_id: str
    number: int
    run: str
    attempt: int
    worker: str
    place: Place
    manifest: str
    started_at: float
    reached: tuple[str, ...] = ()
    triggered: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """The JSON text."""
        return wire.encode("feedback", self)

    @classmethod
    def decode(cls, body: bytes) -> Feedback:
        """WireError for anything else."""
        message = wire.build(cls, wire.members(body, "feedback"))
        _check_names(message.config_id, message.run, message.worker)
        if not message.place.folder.endswith(f"/{run_folder(message.config_id, message.run)}"):
            raise WireError(f"the folder of run {message.run} is another's: {show(message.place.folder)}")
        return message


@dataclass(frozen=True, kw_only=True)
class Grave:
    """A job that a worker could not do; `reason` is a `model.outcome.Reason`'s value, `tail` the log's last lines."""

    config_id: str
    number: int
    run: str
    attempt: int
    worker: str
    reason: str
    message: str
    tail: tuple[str, ...] = ()
    log: str = ""

    def encode(self) -> bytes:
        """The JSON text; a long tail is cut."""
        return wire.encode("grave", self)

    @classmethod
    def decode(cls, body: bytes) -> Grave:
        """WireError for anything else."""
        message = wire.build(cls, wire.members(body, "grave"))
        _check_names(message.config_id, message.run, message.worker)
        return message


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
class Heartbeat:
    """All that a worker says of itself, each time anew; `config_id` is empty without a campaign.

    `detail` explains `state`. `returned` are runs that it gave back unfinished when it left.
    """

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

    def encode(self) -> bytes:
        """The JSON text."""
        return wire.encode("heartbeat", self)

    @classmethod
    def decode(cls, body: bytes) -> Heartbeat:
        """WireError for anything else."""
        message = wire.build(cls, wire.members(body, "heartbeat"))
        _check_names(message.worker, *filter(None, (message.config_id, *(status.run for status in message.runs))))
        return message


@dataclass(frozen=True, kw_only=True)
class Orders:
    """From the dispatcher to one worker.

    `forget`: these runs' folders are not needed any more. `stop`: end these runs, their jobs are settled elsewhere.
    `drain`: finish what runs and leave.
    """

    config_id: str
    forget: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    drain: bool = False

    def encode(self) -> bytes:
        """The JSON text."""
        return wire.encode("orders", self)

    @classmethod
    def decode(cls, body: bytes) -> Orders:
        """WireError for anything else."""
        return wire.build(cls, wire.members(body, "orders"))


def run_folder(config_id: str, run: str) -> str:
    """Name of a run's folder in its worker's WORKDIRS."""
    return f"workdir_{config_id}_{run}"


def _check_names(*names: str) -> None:
    """They become names of tubes and folders."""
    for name in names:
        if not is_plain_name(name):
            raise WireError(f"a name on the wire is none: {show(name)}")


def shortened(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The end of a log, as much of it as a message carries."""
    return tuple(line[:TAIL_WIDTH] for line in lines[-TAIL_LINES:])
