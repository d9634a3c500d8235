"""`magma-remote drain`: have a worker finish what runs and leave."""

from __future__ import annotations

from pathlib import Path

import click

from magma_remote.adapters.beanstalk import BeanstalkQueue
from magma_remote.cli.beside import beside
from magma_remote.cli.settings import SETTINGS
from magma_remote.model.heartbeat import WorkerState
from magma_remote.model.plain import plain
from magma_remote.runtime.dispatcher import operations


@click.command(short_help="Have a worker finish what runs, take nothing new and leave.")
@click.argument("worker")
@SETTINGS
def drain(worker: str, settings: Path | None) -> None:
    """Have WORKER, a name or an id as `status` shows them, finish what runs, take nothing new and leave.

    \b
    Example:
      magma-remote drain worker-1
    """
    with beside(settings) as place:
        found = operations.find_worker(place.ledger, worker)
        beat = found.heartbeat
        name = plain(beat.name)
        if beat.state is WorkerState.DRAINING:
            click.echo(f"Worker {name} drains already: {_left(len(beat.runs))}.")
            return
        queue = BeanstalkQueue(place.settings.queue.target)
        try:
            operations.drain(place.ledger, queue, found)
        finally:
            queue.close()
        click.echo(f"Worker {name} is told to drain: it takes nothing new; {_left(len(beat.runs))}.")
        click.echo("`magma-remote worker`, typed on its machine, brings it back.")


def _left(runs: int) -> str:
    if not runs:
        return "nothing runs there, so it leaves at once"
    which = "the trial that it runs now has" if runs == 1 else f"the {runs} trials that it runs now have"
    return f"it leaves when {which} ended"
