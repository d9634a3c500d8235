"""`magma-remote worker`: this machine's part in the campaigns of a queue."""

from __future__ import annotations

import logging
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from magma_remote import __version__
from magma_remote.adapters import claims
from magma_remote.adapters.beanstalk import BeanstalkQueue
from magma_remote.adapters.clock import SystemClock
from magma_remote.adapters.docker import DockerRunner
from magma_remote.adapters.docker_registry import DockerRegistry
from magma_remote.adapters.hjson_file import parse_hjson
from magma_remote.adapters.machine import this_machine
from magma_remote.adapters.magma_tree import read_tree
from magma_remote.cli.here import image_owner
from magma_remote.cli.settings import SETTINGS, load_worker
from magma_remote.runtime.logs import console, open_log
from magma_remote.runtime.signals import ignore, on_stop, outlast
from magma_remote.runtime.station.folders import open_workdirs
from magma_remote.runtime.station.local import LocalStation
from magma_remote.runtime.station.settings import StationOutside, StationSettings
from magma_remote.runtime.worker.telling import Identity
from magma_remote.runtime.worker.worker import Worker

if TYPE_CHECKING:
    from magma_remote.model.document import Table
    from magma_remote.model.settings import WorkerSettings

_QUEUE_SECONDS = 3.0  # one such wait more or less decides whether we leave within ten seconds

log = logging.getLogger(__name__)


@click.command(short_help="Run jobs of a queue on this machine.")
@click.option("--once", is_flag=True, help="Leave when the campaign has ended, instead of waiting for the next one.")
@SETTINGS
def worker(*, once: bool, settings: Path | None) -> None:
    """Run jobs of the queue on this machine, each in a container on CPUs of its own, until told to stop.

    SIGTERM and Ctrl-C give running jobs back and leave within seconds; `magma-remote drain` lets them finish first.
    To give a worker some of the machine's CPUs alone, start it with them: `taskset -c 0-7 magma-remote worker`.

    \b
    Example:
      magma-remote worker --settings worker.hjson
    """
    chosen = load_worker(settings)
    outlast()
    with ExitStack() as held:
        name = held.enter_context(open_workdirs(chosen.workdirs, chosen.name, claims))
        held.enter_context(open_log(chosen.workdirs / "log" / "worker.jsonl", worker=chosen.name))
        held.enter_context(console(sys.stderr))
        station = LocalStation(_station_settings(chosen, name), _outside(chosen.registry))
        queue = BeanstalkQueue(chosen.queue.target, timeout=_QUEUE_SECONDS)
        identity = Identity(worker=name, name=chosen.name, host=chosen.worker_ip, version=__version__)
        log.info("worker %s (%s) on the queue at %s", chosen.name, name, chosen.queue.text)
        _work(Worker(identity, queue, station, SystemClock(), once=once))
        station.release()
    ignore()


def _work(made: Worker) -> None:
    stopped: list[str] = []
    with on_stop(stopped.append):
        try:
            made.run(until=lambda: bool(stopped))
        finally:
            if stopped:
                log.info("stopped by %s: giving %d running jobs back", stopped[0], len(made.holding))
            made.leave()
    log.info("left")


def _station_settings(chosen: WorkerSettings, worker: str) -> StationSettings:
    return StationSettings(
        workdirs=chosen.workdirs,
        keep=chosen.keep_workdirs,
        root=chosen.magma,
        worker=worker,
        name=chosen.name,
        host=chosen.worker_ip,
        ssh_port=chosen.ssh_port,
        ssh_user=chosen.ssh_user,
        owner=image_owner(),
        housekeeping=chosen.housekeeping_cpus,
    )


def _outside(registry: str) -> StationOutside:
    runner = DockerRunner()
    return StationOutside(
        runner=runner,
        guards=claims,
        read_document=_read,
        read_tree=read_tree,
        machine=this_machine,
        registry=DockerRegistry(runner, registry) if registry else None,
    )


def _read(text: str, source: str) -> Table:
    return parse_hjson(text.encode(), source=source)
