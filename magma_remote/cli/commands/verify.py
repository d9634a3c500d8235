"""`magma-remote verify`: whether a WORKDIR is what was written into it, and all of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from magma_remote.cli.aside import aside
from magma_remote.cli.beside import print_json
from magma_remote.cli.reading import PROCESSES, WORKDIR, Progress, ledger_of, settings_in
from magma_remote.model.layout import Workdir
from magma_remote.model.plain import plain
from magma_remote.model.units import human_bytes
from magma_remote.model.verdict import Fault
from magma_remote.runtime.verifying.workdir import verify_workdir

if TYPE_CHECKING:
    from collections.abc import Iterator

    from magma_remote.model.verdict import Verdict

_MOST = 20  # of each fault; --json has all


@click.command(short_help="Check that a WORKDIR is complete, and as its trials were written.")
@WORKDIR
@click.option("--json", "as_json", is_flag=True, help="One JSON object with the whole list, for programs.")
@PROCESSES
@aside
def verify(*, workdir: Path, as_json: bool, processes: int | None) -> None:
    """Read every file of every trial in WORKDIR again, and name what is missing, altered or extra.

    Held against the ledger, manifest.json and the manifest that each trial's worker wrote: the trials that were asked
    for, every file in ar/, log/, poc/, trials/, manifests/ and executions/ with its SHA-256. Other folders
    and files in WORKDIR are not looked at. Nothing is changed.

    \b
    Example:
      magma-remote verify results

    \b
    --json prints {"version": 1, "workdir", "ok", "expected": number or null, "proven": number of trials,
      "files", "bytes": what was hashed, "notes": [text],
      "wrong": [{"fault": "missing"|"altered"|"extra"|"unproven", "path", "message"}]}

    Exit code 0 if all is there as it was written and nothing else, 1 if not: also where nobody wrote down what was
    there, as in a WORKDIR of Magma's captain. Its trials are then "unproven".
    """
    with ledger_of(workdir) as ledger:
        verdict = verify_workdir(
            Workdir(workdir),
            ledger,
            settings=settings_in,
            processes=processes,
            on_progress=Progress("Checking trials"),
        )
    if as_json:
        print_json(_members(verdict, workdir))
    else:
        for line in _lines(verdict):
            click.echo(plain(line))
    sys.exit(0 if verdict.ok else 1)


def _members(verdict: Verdict, workdir: Path) -> dict[str, object]:
    wrong = [{"fault": one.fault.value, "path": one.path, "message": one.message} for one in verdict.wrongs]
    return {
        "workdir": str(workdir),
        "ok": verdict.ok,
        "expected": verdict.expected,
        "proven": verdict.proven,
        "files": verdict.files,
        "bytes": verdict.bytes,
        "notes": list(verdict.notes),
        "wrong": wrong,
    }


def _lines(verdict: Verdict) -> Iterator[str]:
    counts = {fault: sum(one.fault is fault for one in verdict.wrongs) for fault in Fault}
    of = "" if verdict.expected is None else f" of {verdict.expected}"
    read = f"{verdict.files} files, {human_bytes(verdict.bytes)} read"
    if verdict.ok:
        yield f"All well: {verdict.proven}{of} trials are there, each as it was written ({read})"
    else:
        told = ", ".join(f"{count} {fault.value}" for fault, count in counts.items() if count)
        yield f"Not well: {told}; {verdict.proven}{of} trials are there as they were written ({read})"
    yield from (f"note: {note}" for note in verdict.notes)
    for fault, count in counts.items():
        wrongs = [one for one in verdict.wrongs if one.fault is fault]
        for one in wrongs[:_MOST]:
            yield f"{fault.value}: {one.path}{f' ({one.message})' if one.message else ''}"
        if count > _MOST:
            yield f"{fault.value}: and {count - _MOST} more, which --json lists"
