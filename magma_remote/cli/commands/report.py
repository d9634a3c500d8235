"""`magma-remote report`: a WORKDIR as a page with statistics, and its data."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from magma_remote.cli.aside import aside
from magma_remote.cli.paths import NamedPath
from magma_remote.cli.reading import (
    PROCESSES,
    STREAM,
    Progress,
    experiment_in,
    load_experiment,
    missing_line,
    refuse_results,
)
from magma_remote.errors import UsageError
from magma_remote.model.plain import plain
from magma_remote.model.units import human_bytes

if TYPE_CHECKING:
    from magma_remote.model.experiment import Experiment
    from magma_remote.report.making import Made

_EXTRA = ("jinja2", "numpy", "scipy")
_MOST_ODD = 20  # lines on what is in no figure


@click.command(short_help="Make a page of statistics and survival curves, and its data.")
@click.argument("workdir", type=NamedPath(allow_dash=True))
@click.option(
    "-o",
    "--output",
    required=True,
    type=NamedPath(file_okay=False),
    metavar="DIR",
    help="Folder for report.html and data/; made where it is missing, an earlier report in it is replaced.",
)
@click.option("--title", metavar="TEXT", help="What the page is called; after the folder's name without it.")
@PROCESSES
@aside
def report(*, workdir: Path, output: Path, title: str | None, processes: int | None) -> None:
    """Make DIR/report.html of the trials in WORKDIR: one page that needs nothing beside it, and DIR/data/.

    It says which fuzzer reached and triggered which bugs, how soon, how sure that is, and what is missing. WORKDIR is
    one of `dispatch`, of `quickrun`, or of Magma's own captain; or a file that `summary --all` wrote of one, which a
    report keeps as DIR/data/experiment.json, or - for its text from standard input. It is only read.

    \b
    Examples:
      magma-remote report results -o report
      ssh HOST magma-remote summary --all /WORKDIR | magma-remote report - -o report

    Exit code 1 if any trial is missing, or a folder of trials cannot be read: the page is made nevertheless, and names
    it.
    """
    told = experiment_in(workdir) if workdir == STREAM or workdir.is_file() else None  # whoever pipes it is heard out
    _need_extra()
    from magma_remote.cli.report_table import print_counts  # noqa: PLC0415 - needs the extra, and a second to import
    from magma_remote.report.making import make_report  # noqa: PLC0415 - as above

    if told:
        experiment, name = told, "" if workdir == STREAM else workdir.resolve().stem
    else:
        refuse_results(output, workdir, "a report alone, such as -o report")
        experiment, name = load_experiment(workdir, processes=processes), workdir.resolve().name
    if not (experiment.trials or experiment.missing):
        of = "standard input" if workdir == STREAM else workdir
        why = "; ".join((f"{of} holds no trial yet, and none is known to be missing", *experiment.problems[:1]))
        raise UsageError(f"{why}: there is nothing to report")
    title = title or (f"Results of {name}" if name else "Results")
    made = make_report(experiment, output, title=title, on_progress=Progress("Comparing fuzzers, by target"))
    print_counts(made.report, sys.stdout)
    _tell(experiment, made)
    sys.exit(1 if experiment.missing or experiment.unread else 0)


def _need_extra() -> None:
    """UsageError where a library of the extra is not installed."""
    lacking = [name for name in _EXTRA if find_spec(name) is None]
    if lacking:
        raise UsageError(
            f"the report needs {', '.join(lacking)}, not installed here: pip install 'magma-remote[report]', or in a "
            "checkout: .venv/bin/pip install -r requirements-report.txt -c constraints.txt"
        )


def _tell(experiment: Experiment, made: Made) -> None:
    for unread in experiment.unread:
        click.echo(plain(f"unread: {unread}"), err=True)
    odd = [problem for problem in experiment.problems if problem not in experiment.unread]
    for problem in odd[:_MOST_ODD]:
        click.echo(plain(f"odd: {problem}"), err=True)
    if len(odd) > _MOST_ODD:
        click.echo(f"odd: and {len(odd) - _MOST_ODD} more, which the page names", err=True)
    for missing in experiment.missing:
        click.echo(plain(f"missing: {missing_line(missing)}"), err=True)
    count, lost = len(experiment.trials), len(experiment.missing)
    of = f" of {experiment.expected}" if experiment.expected is not None else ""
    asked = "" if experiment.expected is not None else "; how many were asked for is not written down"
    page = f"{made.page} ({human_bytes(made.page.stat().st_size)})"
    click.echo(f"{count}{of} trials, {lost} missing{asked}. Page: {page}")
    click.echo(f"Data: {made.data}")
