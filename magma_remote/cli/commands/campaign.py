"""The commands that read campaign files and start nothing."""

from __future__ import annotations

from pathlib import Path

import click

from magma_remote.adapters.hjson_file import parse_hjson
from magma_remote.adapters.magma_tree import read_tree
from magma_remote.adapters.text_file import read_text
from magma_remote.cli.beside import print_json
from magma_remote.cli.loading import MAGMA, load
from magma_remote.cli.overview import overview, problems, summary
from magma_remote.errors import ConfigError, UsageError
from magma_remote.model.campaign_file import read_campaign
from magma_remote.model.captainrc_import import import_captainrc as translate
from magma_remote.model.document import show
from magma_remote.model.names import is_one_line

FILE = click.argument("file", type=click.Path(path_type=Path))


@click.command(short_help="Check a campaign file and say what it would run.")
@FILE
@MAGMA
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def validate(file: Path, magma: Path | None, *, as_json: bool) -> None:
    """Check the campaign file FILE and say what it would run.

    Everything that is wrong is listed at once on standard error, a line each, as
    file:line: KEY: what was found; allowed: what fits.

    \b
    Examples:
      magma-remote validate campaign.hjson
      magma-remote validate campaign.hjson --magma ~/magma
      magma-remote validate campaign.hjson --json | jq .jobs
    """
    try:
        loaded = load(file, magma)
    except ConfigError as error:
        if as_json:
            print_json(problems(error))
        raise
    if as_json:
        print_json(summary(loaded))
        return
    for line in overview(loaded):
        click.echo(line)


@click.command(short_help="List a campaign's jobs, in the order in which they start.")
@FILE
@MAGMA
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
def jobs(file: Path, magma: Path | None, *, as_json: bool) -> None:
    """List the jobs of the campaign file FILE, one a line, in the order in which they start.

    A line reads repeat,fuzzer,target,program args,fuzzargs. It is for people, as arguments may hold
    commas: programs take --json.

    \b
    Examples:
      magma-remote jobs campaign.hjson
      magma-remote jobs campaign.hjson --json | jq -r .target | sort | uniq -c
    """
    for job in load(file, magma).jobs:
        click.echo(job.to_wire() if as_json else str(job))


@click.command(short_help="Turn captain's captainrc into a campaign file.")
@FILE
@click.option(
    "--magma",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Magma tree that tells which names there are; becomes MAGMA where FILE sets none.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="OUT", help="Write there, not to standard output."
)
def import_captainrc(file: Path, magma: Path | None, output: Path | None) -> None:
    """Turn FILE, a captainrc of Magma's captain, into a campaign file with its comments.

    The file is read as Bash but never executed. What a campaign file cannot carry stays as a comment
    and is reported on standard error, as is what the result still lacks; the exit code is 0 then too.

    \b
    Examples:
      magma-remote import-captainrc captainrc -o campaign.hjson
      magma-remote import-captainrc magma/tools/captain/captainrc --magma magma
    """
    root = magma.resolve() if magma else None
    if root and not is_one_line(str(root)):
        raise UsageError(f"--magma: a campaign file cannot hold the path {show(str(root))}")
    tree = read_tree(root) if root else None
    try:
        imported = translate(read_text(file), tree=tree, magma=str(root) if root else None)
    except ConfigError as error:
        raise ConfigError(error.problems, source=str(file)) from error
    _write(imported.text, output)
    for warning in imported.warnings:
        click.echo(f"{file}:{warning}", err=True)
    try:
        read_campaign(parse_hjson(imported.text.encode()), tree=tree, source=str(output or "standard output"))
    except ConfigError as error:
        click.echo(f"The campaign file needs a look before it runs:\n{error}", err=True)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
        return
    if not output.name:
        raise UsageError(f"-o {str(output)!r} names no file")
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(f"{output} exists: remove it or name another file") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        said = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{output} cannot be written: {said}") from error
