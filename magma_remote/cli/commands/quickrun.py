"""`magma-remote quickrun`: a whole campaign on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from magma_remote.adapters import claims
from magma_remote.adapters.docker import DockerRunner
from magma_remote.adapters.machine import this_machine
from magma_remote.cli.here import image_owner, own_address
from magma_remote.cli.lasting import lasting
from magma_remote.cli.live import reporter_for
from magma_remote.cli.loading import MAGMA, load
from magma_remote.cli.provenance import quickrun_facts, tell_quickrun
from magma_remote.cli.results_table import print_summary
from magma_remote.errors import UsageError
from magma_remote.model.cpu_request import layout_for
from magma_remote.model.layout import Workdir
from magma_remote.runtime.quickrun import Order, Outside
from magma_remote.runtime.quickrun import quickrun as run_all
from magma_remote.runtime.signals import ignore, outlast
from magma_remote.runtime.workdir.sealing import note_begun


def _named(_context: click.Context, _option: click.Parameter, path: Path) -> Path:
    """Refuse an empty text: an unset variable of a shell would mean the current folder."""
    if not path.name and path == Path():
        raise click.BadParameter("is empty or the current folder; name one of its own, such as results")
    return path


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--workdir",
    required=True,
    callback=_named,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where results go, in Magma's layout: ar/, log/, poc/. A folder with trials of this campaign is resumed.",
)
@MAGMA
def quickrun(file: Path, workdir: Path, magma: Path | None) -> None:
    """Run the campaign FILE on this machine, without a queue.

    Builds the images that are missing, runs every trial on CPUs of its own, archives each as it ends and prints
    what was found. Ctrl-C ends it cleanly; the same command again runs only what is not there yet.

    \b
    Example:
      magma-remote quickrun campaign.hjson --magma ~/magma --workdir results

    Exit code 1 if any trial failed, 2 if the campaign cannot run as asked.
    """
    loaded = load(file, magma)
    cpus, allowed = this_machine()
    facts = quickrun_facts(loaded)
    place = _workdir(workdir)
    order = Order(
        campaign=loaded.campaign,
        jobs=loaded.jobs,
        root=loaded.root,
        layout=layout_for(loaded.campaign, cpus, allowed),
        workdir=place,
        owner=image_owner(),
        worker_ip=own_address(),
        on_begin=lambda: note_begun(place, facts, len(loaded.jobs)),
    )
    runner = DockerRunner()
    output = lasting(sys.stdout)
    outlast()
    with reporter_for(output, timeout=loaded.campaign.timeout.seconds) as reporter:
        for note in loaded.notes:
            reporter.note(note)
        results = run_all(order, Outside(runner=runner, guards=claims, reporter=reporter))
    print_summary(results, order.workdir, output)
    tell_quickrun(order.workdir, facts, results)
    ignore()
    sys.exit(0 if all(result.complete for result in results) else 1)


def _workdir(path: Path) -> Workdir:
    """The folder with all links resolved; UsageError for a name that labels and logs could not carry."""
    try:
        str(path).encode()
        return Workdir(path.resolve())
    except (UnicodeEncodeError, OSError, RuntimeError) as error:
        raise UsageError(f"--workdir {os.fsencode(path)!r} cannot be used: {error}; take another folder") from error
