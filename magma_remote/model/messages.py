"""What dispatcher and workers tell each other; each message is one JSON object on one tube."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ..errors import WireError
from . import wire
from .document import show
from .jobs import Job  # noqa: TC001 - its fields are read from the types
from .names import is_plain_name
from .pinned import PinnedImage, is_manifest

if TYPE_CHECKING:
    from typing import Self

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


class Message:
    """One JSON object of its `kind`."""

    kind = ""  # without a type: those that have one are fields on the wire

    def encode(self) -> bytes:
        """The JSON text; WireError where it is too large for the queue."""
        return wire.encode(self.kind, self)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """WireError for anything else."""
        message = wire.build(cls, wire.members(body, cls.kind))
        message.check()
        return message

    def check(self) -> None:
        """WireError where a value has its field's type and still cannot be one."""


@dataclass(frozen=True, kw_only=True)
class Broadcast(Message):
    """The campaign that workers work for now.

    `text` is the campaign file as it is written, `source` its name; `tree` the digest of all that its images are
    made from. `open` is False once it has ended, and `complete` is True if every job has its result then. `since` is
    in seconds since the epoch. Where the dispatcher has a registry, `images` are in it, for containers that run as
    `uid` and `gid`; where it has none both are 0, and workers build for themselves.
    """

    kind = "broadcast"
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

    def check(self) -> None:
        """See `Message.check`."""
        for image in self.images:
            if not is_manifest(image.manifest):
                raise WireError(f"an image on the wire has no digest: {show(image.manifest)}")


@dataclass(frozen=True, kw_only=True)
class JobMessage(Message):
    """A job on its way to a worker: `number` is its place in the campaign, `attempt` counts from 1.

    Workers in `avoid` leave it to others for a while.
    """

    kind = "job"
    config_id: str
    number: int
    attempt: int
    job: Job
    avoid: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The canonical text: `config_id,repeat,fuzzer,target,program args,fuzzargs`."""
        return f"{self.config_id},{self.job}"

    def check(self) -> None:
        """See `Message.check`."""
        self.job.check()
        check_names(self.config_id, *self.avoid)
        if self.number < 0:
            raise WireError(f"a job on the wire has no place in its campaign: {self.number}")


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
class Feedback(Message):
    """A complete trial that can be fetched. `run` names this one execution of the job, for ever.

    `manifest` is the SHA-256 of the folder's manifest.json.
    """

    kind = "feedback"
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

    def check(self) -> None:
        """See `Message.check`."""
        check_names(self.config_id, self.run, self.worker)
        if not self.place.folder.endswith(f"/{run_folder(self.config_id, self.run)}"):
            raise WireError(f"the folder of run {self.run} is another's: {show(self.place.folder)}")


@dataclass(frozen=True, kw_only=True)
class Grave(Message):
    """A job that a worker could not do; `reason` is a `model.outcome.Reason`'s value, `tail` the log's last lines."""

    kind = "grave"
    config_id: str
    number: int
    run: str
    attempt: int
    worker: str
    reason: str
    message: str
    tail: tuple[str, ...] = ()
    log: str = ""

    def check(self) -> None:
        """See `Message.check`."""
        check_names(self.config_id, self.run, self.worker)


@dataclass(frozen=True, kw_only=True)
class Orders(Message):
    """From the dispatcher to one worker.

    `forget`: these runs' folders are not needed any more. `stop`: end these runs, their jobs are settled elsewhere.
    `drain`: finish what runs and leave.
    """

    kind = "orders"
    config_id: str
    forget: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    drain: bool = False


def run_folder(config_id: str, run: str) -> str:
    """Name of a run's folder in its worker's WORKDIRS."""
    return f"workdir_{config_id}_{run}"


def check_names(*names: str) -> None:
    """WireError for one that is none: they become names of tubes and folders."""
    for name in names:
        if not is_plain_name(name):
            raise WireError(f"a name on the wire is none: {show(name)}")


def shortened(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The end of a log, as much of it as a message carries."""
    return tuple(line[:TAIL_WIDTH] for line in lines[-TAIL_LINES:])
