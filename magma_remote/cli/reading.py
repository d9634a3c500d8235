"""What the commands share that read a WORKDIR, whoever made it."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from magma_remote.adapters.hjson_file import parse_hjson
from magma_remote.adapters.sqlite_copy import read_ledger
from magma_remote.cli.paths import NamedPath
from magma_remote.cli.settings_check import LEDGER
from magma_remote.errors import ConfigError, MagmaRemoteError, StorageError, UsageError, WireError
from magma_remote.model.document import Node, Table
from magma_remote.model.experiment import Experiment
from magma_remote.model.layout import Workdir
from magma_remote.model.units import human_seconds
from magma_remote.runtime.extracting.store import EXTRACTED
from magma_remote.runtime.signals import on_stop
from magma_remote.runtime.storage import storage_errors
from magma_remote.runtime.workdir.asked import PROVENANCE, asked_of_ledger
from magma_remote.runtime.workdir.entering import EXECUTIONS, MANIFESTS
from magma_remote.runtime.workdir.experiment import read_experiment
from magma_remote.runtime.workdir.origin import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from magma_remote.adapters.sqlite import SqliteLedger
    from magma_remote.model.document import Value
    from magma_remote.model.experiment import Missing

_SILENCE = 5.0  # seconds before the first word on a terminal, and between two
_SILENCE_ELSEWHERE = 60.0

STREAM = Path("-")
WORKDIR = click.argument("workdir", type=NamedPath())
PROCESSES = click.option(
    "--processes",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="How many processes read at once; as many as there are CPUs without it.",
)


class Progress:
    """Says on standard error how far a long reading is; it never says more than a line in five seconds."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._began = self._said = time.monotonic()
        self._silence = _SILENCE if sys.stderr.isatty() else _SILENCE_ELSEWHERE

    def __call__(self, done: int, total: int) -> None:
        """`done` of `total` are over; they count alike."""
        now = time.monotonic()
        if now - self._said < self._silence or not 0 < done < total:
            return
        self._said = now
        left = (now - self._began) * (total - done) / done
        click.echo(f"{self._doing}: {100 * done // total} %, about {human_seconds(left)} left", err=True)


@contextmanager
def ledger_of(workdir: Path) -> Iterator[SqliteLedger | None]:
    """The ledger in a WORKDIR, to read for the block, of one moment; None where it has none.

    `kill` ends the block as Ctrl-C does: the copy that it is read from is removed.
    """
    path = workdir / LEDGER
    with storage_errors("look at the disk"):
        there = path.exists()
    if not there:
        yield None
        return
    with on_stop(_leave), read_ledger(path) as ledger:
        yield ledger


def _leave(name: str) -> NoReturn:
    click.echo(f"magma-remote: stopped by {name}", err=True)
    sys.exit(MagmaRemoteError.exit_code)


def load_experiment(workdir: Path, *, processes: int | None = None) -> Experiment:
    """All that a WORKDIR says, with progress on standard error.

    UsageError where it is none, StorageError or LedgerError where it cannot be read.
    """
    with ledger_of(workdir) as ledger:
        asked = asked_of_ledger(Workdir(workdir), ledger, settings_of(ledger)) if ledger and ledger.campaign() else None
    progress = Progress("Reading trials")
    return read_experiment(workdir, processes=processes, on_progress=progress, asked=asked)


def experiment_in(file: Path) -> Experiment:
    """What `summary --all` wrote of a WORKDIR, maybe on another machine; UsageError where it is anything else.

    `-` is standard input.
    """
    named = "standard input" if file == STREAM else str(file)
    if file == STREAM and (sys.stdin is None or sys.stdin.isatty()):
        how = "closed" if sys.stdin is None else "a terminal"
        raise UsageError(f"- takes what `magma-remote summary --all` writes, from a pipe: standard input is {how}")
    try:
        return Experiment.decode(sys.stdin.buffer.read() if file == STREAM else file.read_bytes())
    except OSError as error:
        raise StorageError(f"{named} cannot be read: {error.strerror}") from error
    except WireError as error:
        raise UsageError(
            f"{named} is not what `magma-remote summary --all` of this version writes ({error}): name a WORKDIR, or "
            "write that anew"
        ) from error


def refuse_results(output: Path, workdir: Path, otherwise: str) -> None:
    """UsageError where `output` is WORKDIR, one of its own files, or in a folder of results: it would be taken for one.

    `otherwise` is what to name: a place for what is written.
    """
    place = Workdir(workdir.resolve())
    files = (place.campaign, *(place.root / name for name in (LEDGER, PROVENANCE, ORIGIN)))
    folders = (*place.folders, place.disk_cache, *(place.root / name for name in (EXECUTIONS, EXTRACTED, MANIFESTS)))
    chosen = output.resolve()
    if chosen in {place.root, *files} or any(chosen.is_relative_to(own.resolve()) for own in folders):
        raise UsageError(f"-o {output} is among the results: name a place for {otherwise}")


def settings_of(ledger: SqliteLedger) -> dict[str, object]:
    """The keys and values of a ledger's campaign file; none where it was written for another release."""
    campaign = ledger.campaign()
    try:
        return settings_in(campaign.text) if campaign else {}
    except ConfigError:
        return {}


def settings_in(text: str) -> dict[str, object]:
    """The keys and values of a campaign file as they are written; ConfigError where it is no Hjson."""
    return {key: _plain(node.value) for key, node in parse_hjson(text.encode()).pairs}


def _plain(value: Value) -> object:
    match value:
        case Table():
            return {key: _plain(node.value) for key, node in value.pairs}
        case tuple():
            return [_plain(node.value) for node in value if isinstance(node, Node)]
        case _:
            return value


def missing_line(missing: Missing) -> str:
    """`afl/libpng/readpng #3 (reason): message`."""
    why = f" ({missing.reason}): {missing.message}" if missing.reason else f": {missing.message}"
    return f"{missing.fuzzer}/{missing.target}/{missing.program} #{missing.run}{why}"
