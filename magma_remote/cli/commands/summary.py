"""`magma-remote summary`: a WORKDIR's figures in the schema of Magma's exp2json."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from magma_remote.cli.aside import aside
from magma_remote.cli.paths import NamedPath
from magma_remote.cli.reading import PROCESSES, WORKDIR, load_experiment, missing_line, refuse_results
from magma_remote.errors import StorageError
from magma_remote.model.experiment import summarize
from magma_remote.model.plain import plain

if TYPE_CHECKING:
    from magma_remote.model.experiment import Experiment


@click.command(short_help="Write when each bug was reached and triggered, as Magma's exp2json does.")
@WORKDIR
@click.option(
    "-o",
    "--output",
    type=NamedPath(dir_okay=False, allow_dash=True),
    default=Path("-"),
    metavar="FILE",
    help="Where to write it; standard output without it.",
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Write all that `report` needs, in a form of this program's own: `magma-remote report FILE` takes it.",
)
@PROCESSES
@aside
def summary(*, workdir: Path, output: Path, everything: bool, processes: int | None) -> None:
    """Write the first seconds at which each bug was reached and triggered in each trial of WORKDIR, as JSON.

    WORKDIR is one of `dispatch`, of `quickrun`, or of Magma's own captain. The schema and the figures are those of
    Magma's exp2json, and the tools that read its file read this one. What is odd about a trial, and each trial that is
    missing, is named on standard error.

    \b
    Example:
      magma-remote summary results -o summary.json

    Exit code 1 if any trial or folder is missing or cannot be read; what is there is written nevertheless.
    """
    if output != Path("-"):
        refuse_results(output, workdir, "the summary, such as -o summary.json")
    experiment = load_experiment(workdir, processes=processes)
    _write(experiment.encode().decode() if everything else json.dumps(summarize(experiment.trials)), output)
    _tell(experiment)
    sys.exit(1 if experiment.missing or experiment.unread else 0)


def _write(text: str, output: Path) -> None:
    if output == Path("-"):
        click.echo(text)
        return
    partial = output.with_name(f".{output.name}.{os.getpid()}.new")
    try:
        # /dev/null, a pipe, or a link, such as /dev/stdout: to replace one would break the machine
        if output.is_symlink() or (output.exists() and not output.is_file()):
            output.write_text(f"{text}\n")
            return
        partial.write_text(f"{text}\n")
        partial.replace(output)
    except OSError as error:
        raise StorageError(f"{output} cannot be written: {error.strerror}; name another file with -o") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _tell(experiment: Experiment) -> None:
    """On standard error: everything, whatever its length, since it may be all that a log keeps."""
    for problem in experiment.problems:
        click.echo(plain(f"odd: {problem}"), err=True)
    for trial in experiment.trials:
        name = f"{trial.fuzzer}/{trial.target}/{trial.program} #{trial.run}"
        for problem in trial.problems:
            click.echo(plain(f"odd: {name}: {problem}"), err=True)
    for missing in experiment.missing:
        click.echo(plain(f"missing: {missing_line(missing)}"), err=True)
    count = len(experiment.trials)
    of = f" of {experiment.expected}" if experiment.expected is not None else ""
    asked = "" if experiment.expected is not None else "; how many were asked for is not written down"
    odd = sum(bool(trial.problems) for trial in experiment.trials)
    click.echo(f"{count}{of} trials, {odd} of them odd, {len(experiment.missing)} missing{asked}", err=True)
