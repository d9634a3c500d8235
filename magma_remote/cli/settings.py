"""From a settings file's path to settings that hold."""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click

from magma_remote.adapters.hjson_file import read_hjson
from magma_remote.adapters.machine import this_machine
from magma_remote.adapters.magma_tree import read_tree
from magma_remote.cli.loading import Loaded, load
from magma_remote.cli.settings_check import check_dispatcher, check_worker
from magma_remote.errors import ConfigError, UsageError
from magma_remote.model.names import is_plain_name
from magma_remote.model.settings import read_dispatcher, read_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from magma_remote.model.settings import DispatcherSettings, WorkerSettings
    from magma_remote.model.settings_reader import Reading

SYSTEM = Path("/etc/magma-remote")
DISPATCHER_FILE = "dispatcher.hjson"
WORKER_FILE = "worker.hjson"

SETTINGS = click.option(
    "--settings",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"Settings file, if not the one in this folder or in {SYSTEM}.",
)


def find_settings(name: str, given: Path | None) -> Path:
    """The file that was given or, without one, that of this folder or the system's; UsageError where there is none."""
    if given is not None:
        return given
    places = (Path(name), SYSTEM / name)
    for place in places:
        if _is_file(place):
            return place
    raise UsageError(
        f"no settings: neither {places[0]} in this folder nor {places[1]} is there; "
        f"write one (examples/{name} is a start), or name it with --settings FILE"
    )


def _is_file(place: Path) -> bool:
    try:
        return place.is_file()
    except OSError:  # a folder that we may not look into
        return False


def load_dispatcher(given: Path | None) -> DispatcherSettings:
    """dispatcher.hjson as far as the file itself tells; ConfigError holds everything that is wrong in it."""
    file = find_settings(DISPATCHER_FILE, given)
    reading = read_dispatcher(read_hjson(file), locate=_locator(file))
    reading.findings.check(str(file))
    return reading.settings


def load_dispatch(given: Path | None, campaign: Path | None, magma: Path | None) -> tuple[DispatcherSettings, Loaded]:
    """Settings and campaign of a dispatcher that is about to start; `campaign` and `magma` win over the files.

    ConfigError holds everything that is wrong in either file, or with what they name on this machine.
    """
    file = find_settings(DISPATCHER_FILE, given)
    reading = read_dispatcher(read_hjson(file), locate=_locator(file), needs_jobs=campaign is None)
    jobs = campaign or reading.settings.jobs_config
    errors: list[ConfigError] = []
    loaded = None
    try:
        loaded = load(jobs, magma) if jobs else None
    except ConfigError as error:
        errors.append(error)
    check_dispatcher(reading, magma=loaded.root if loaded else None)
    try:
        reading.findings.check(str(file))
    except ConfigError as error:
        errors.insert(0, error)
    if errors or loaded is None:  # without a campaign JOBS_CONFIG is an error of the settings
        raise ConfigError.joined(errors)
    return reading.settings, loaded


def load_worker(given: Path | None) -> WorkerSettings:
    """worker.hjson; ConfigError holds everything that is wrong in it or with what it names on this machine."""
    file = find_settings(WORKER_FILE, given)
    reading = read_worker(read_hjson(file), locate=_locator(file), name=_host(), user=_user())
    _check_tree(reading)
    cpus, _ = this_machine() if reading.settings.housekeeping_cpus else ((), None)
    check_worker(reading, online=[cpu.number for cpu in cpus])
    reading.findings.check(str(file))
    return reading.settings


def _check_tree(reading: Reading[WorkerSettings]) -> None:
    if reading.settings.magma:
        try:
            read_tree(reading.settings.magma)
        except UsageError as error:
            reading.findings.add("MAGMA", reading.lines["MAGMA"], str(error), "the path of a Magma tree")


def _locator(file: Path) -> Callable[[str], Path]:
    """Make paths of a file absolute: relative to it, `~` expanded, all links resolved."""

    def locate(text: str) -> Path:
        try:
            return (file.parent / Path(text).expanduser()).resolve()
        except (OSError, RuntimeError) as error:  # RuntimeError: a user without a home, links in a circle
            raise ValueError(str(error)) from error

    return locate


def _host() -> str:
    name = socket.gethostname()
    return name if is_plain_name(name) else "worker"


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a number without a name
        return str(os.getuid())
