"""The group `magma-remote`: sub-commands are loaded when they are called, errors end as one message."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn, TextIO

import click

from magma_remote import __version__
from magma_remote.errors import ConfigError, MagmaRemoteError

COMMANDS = (
    "cancel",
    "collect",
    "cpus",
    "dispatch",
    "drain",
    "extend",
    "extract",
    "graveyard",
    "images",
    "import-captainrc",
    "jobs",
    "logs",
    "quickrun",
    "report",
    "status",
    "summary",
    "validate",
    "verify",
    "worker",
)
# each is in the module of `commands` that has its name, or in this one; there it is the name with "-" as "_"
_MODULES = {"import-captainrc": "campaign", "jobs": "campaign", "validate": "campaign"}


class _Lazy(click.Group):
    """Imports a command's module only when that command is asked for: `quickrun` starts at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"magma_remote.cli.commands.{_MODULES.get(cmd_name, cmd_name)}")
        command = getattr(module, cmd_name.replace("-", "_"))
        if not isinstance(command, click.Command):
            raise TypeError(cmd_name)
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="magma-remote")
def cli() -> None:
    """Run Magma fuzzing campaigns.

    Exit codes: 0 all went well, 1 something failed, 2 bad usage or configuration; `dispatch` has one more, 75: what it
    needs is away now, and the same command may do a moment later.
    """


def main() -> None:
    """Entry point: an error of ours becomes its message and its exit code, never a traceback."""
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal's charset may lack what a file holds
    try:
        sys.exit(cli(standalone_mode=True))
    except MagmaRemoteError as error:
        # a ConfigError's lines begin with file:line, as editors and grep read them
        prefix = "" if isinstance(error, ConfigError) else "magma-remote: "
        click.echo(f"{prefix}{error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        _end_unheard(error)


def _nowhere() -> TextIO:
    """In place of a stream that was closed before we began, as by `>&-`."""
    return Path(os.devnull).open("w")


def _end_unheard(error: OSError) -> NoReturn:
    """Standard output is full or gone; Python's own flush at the end would only say so once more."""
    with suppress(OSError):
        click.echo(f"magma-remote: {error.filename or 'standard output'}: {error.strerror or error}", err=True)
    os._exit(MagmaRemoteError.exit_code)
