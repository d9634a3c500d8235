"""The settings of a dispatcher and of a worker, from their files' located members."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .address import Address, parse_host, parse_registry
from .messages import MAX_ATTEMPTS, TTR
from .names import PLAIN_NAME
from .settings_reader import SettingsReader, plain_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from .document import Table
    from .settings_reader import Reading

DISPATCHER_KEYS = (
    "TEMP_RESULTS",
    "WORKDIR",
    "COPY_TYPE",
    "JOBS_CONFIG",
    "QUEUE",
    "SSH_KEY",
    "SSH_KNOWN_HOSTS",
    "FETCHES",
    "TTR",
    "MAX_ATTEMPTS",
    "REGISTRY",
)
WORKER_KEYS = (
    "WORKDIRS",
    "KEEP_WORKDIRS",
    "DISPATCHER_IP",
    "WORKER_IP",
    "QUEUE",
    "MAGMA",
    "NAME",
    "HOUSEKEEPING_CPUS",
    "SSH_PORT",
    "SSH_USER",
    "REGISTRY",
)
COPY_TYPES = ("rsync", "scp")
LOOPBACK = "127.0.0.1"
MOST_FETCHES = 64  # more ssh connections at once than a server takes
LEAST_TTR = 10  # a worker must be able to speak several times meanwhile, on a machine that is busy with trials
MOST_TTR = 3600
MOST_ATTEMPTS = 20
_QUEUE = "host:port, or the path of a unix socket"
_REGISTRY = "host:port"
_HOST = "an IP address or a host name"


@dataclass(frozen=True, kw_only=True)
class DispatcherSettings:
    """dispatcher.hjson. Paths are absolute, with all links resolved; `jobs_config` is None where the file has none.

    `copy_type` is rsync or scp; `fetches` is how many results are fetched at once; a job whose worker is silent for
    `ttr` seconds is another's, and one that fails is tried `max_attempts` times in all. With a `registry` (host:port)
    images are built here, once, and workers get them from there; without one each worker builds its own.
    """

    temp_results: Path
    workdir: Path
    copy_type: str
    jobs_config: Path | None = None
    queue: Address
    ssh_key: Path | None = None
    ssh_known_hosts: Path | None = None
    fetches: int = 4
    ttr: int = TTR
    max_attempts: int = MAX_ATTEMPTS
    registry: str = ""


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """worker.hjson. Paths are absolute, with all links resolved.

    Results are fetched from `worker_ip` as `ssh_user` at `ssh_port`, and kept afterwards with `keep_workdirs`.
    The worker's own work keeps to `housekeeping_cpus` where there are any. The dispatcher's images come through
    `registry` (host:port); `magma` is None where there is no tree to build from, which needs a `registry`.
    """

    workdirs: Path
    keep_workdirs: bool
    worker_ip: str
    queue: Address
    magma: Path | None = None
    name: str
    housekeeping_cpus: tuple[int, ...] = ()
    ssh_port: int = 22
    ssh_user: str
    registry: str = ""


def read_dispatcher(
    document: Table, *, locate: Callable[[str], Path], needs_jobs: bool = False
) -> Reading[DispatcherSettings]:
    """Read dispatcher.hjson.

    `locate` makes an absolute path of one in the file (ValueError: it cannot). JOBS_CONFIG may be missing where it
    is not needed: a campaign can be named on the command line.
    """
    reader = SettingsReader(document, DISPATCHER_KEYS, locate, other=("worker.hjson", WORKER_KEYS))
    for key, allowed in (("TEMP_RESULTS", "the path of a folder"), ("WORKDIR", "the path of a folder")):
        reader.fields.require(key, allowed)
    reader.fields.require("COPY_TYPE", ", ".join(COPY_TYPES))
    if needs_jobs:
        reader.fields.require("JOBS_CONFIG", "the path of a campaign file, or the command's argument FILE")
    settings = DispatcherSettings(
        temp_results=reader.path("TEMP_RESULTS") or Path(),
        workdir=reader.path("WORKDIR") or Path(),
        copy_type=reader.choice("COPY_TYPE", COPY_TYPES),
        jobs_config=reader.path("JOBS_CONFIG"),
        queue=reader.text("QUEUE", Address.parse, _QUEUE) or Address(host=LOOPBACK),
        ssh_key=reader.path("SSH_KEY"),
        ssh_known_hosts=reader.path("SSH_KNOWN_HOSTS"),
        fetches=reader.number("FETCHES", 4, MOST_FETCHES),
        ttr=reader.number("TTR", TTR, MOST_TTR, least=LEAST_TTR),
        max_attempts=reader.number("MAX_ATTEMPTS", MAX_ATTEMPTS, MOST_ATTEMPTS),
        registry=reader.text("REGISTRY", parse_registry, _REGISTRY) or "",
    )
    return reader.reading(settings)


def read_worker(document: Table, *, locate: Callable[[str], Path], name: str, user: str) -> Reading[WorkerSettings]:
    """Read worker.hjson; `locate` as above, `name` and `user` stand in for NAME and SSH_USER.

    Without QUEUE it is the usual port of DISPATCHER_IP. MAGMA may be missing where there is a REGISTRY.
    """
    reader = SettingsReader(document, WORKER_KEYS, locate, other=("dispatcher.hjson", DISPATCHER_KEYS))
    required = {
        "WORKDIRS": "the path of a folder",
        "DISPATCHER_IP": _HOST,
        "WORKER_IP": _HOST,
    }
    registry = reader.text("REGISTRY", parse_registry, _REGISTRY) or ""
    if reader.fields.node("REGISTRY") is None:
        required["MAGMA"] = "the path of a Magma tree, or REGISTRY where the dispatcher has one"
    for key, allowed in required.items():
        reader.fields.require(key, allowed)
    dispatcher = reader.text("DISPATCHER_IP", parse_host, _HOST) or LOOPBACK
    settings = WorkerSettings(
        workdirs=reader.path("WORKDIRS") or Path(),
        keep_workdirs=reader.fields.flag("KEEP_WORKDIRS"),
        worker_ip=reader.text("WORKER_IP", parse_host, _HOST) or LOOPBACK,
        queue=reader.text("QUEUE", Address.parse, _QUEUE) or Address(host=dispatcher),
        magma=reader.path("MAGMA"),
        name=reader.text("NAME", plain_name, PLAIN_NAME) or name,
        housekeeping_cpus=reader.cpus("HOUSEKEEPING_CPUS"),
        ssh_port=reader.port("SSH_PORT", 22),
        ssh_user=reader.text("SSH_USER", plain_name, "a user's name") or user,
        registry=registry,
    )
    return reader.reading(settings)
