"""Tells a person how PoCs are extracted, and what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from magma_remote.cli.progress import PlainReporter
from magma_remote.cli.wide import console_for
from magma_remote.model.plain import plain
from magma_remote.model.pocs import counts, trial_text
from magma_remote.model.units import human_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from magma_remote.model.experiment import Trial
    from magma_remote.model.pocs import Ended
    from magma_remote.runtime.extracting.workdir import Extracts

_NAMED = 20  # trials of one kind; --json and the index have all


class ExtractLines(PlainReporter):
    """A line for each trial, and one on the whole in a minute where nothing else is said."""

    def extracting(self, *, trials: int, kept: int, slots: int) -> None:
        """See `ExtractReporter.extracting`."""
        there = f" ({kept} were done before)" if kept else ""
        if not trials:
            return  # why is told
        what = "1 trial" if trials == 1 else f"{trials} trials"
        self.note(f"PoCs of {what} to extract{there}, {min(slots, trials)} at once")

    def extracted(self, ended: Ended) -> None:
        """See `ExtractReporter.extracted`."""
        name = trial_text(ended.trial)
        found = ended.extracted
        if found is None:
            self.note(plain(f"{'Ended' if ended.stopped else 'FAILED'} {name}: {ended.why}"))
        elif not found.findings and not found.pocs:
            self.note(f"Extracted {name}: no findings")
        else:
            tried = "" if found.findings is None else f"{found.findings} findings, "
            self.note(f"Extracted {name}: {tried}{len(found.pocs)} PoCs, {ended.new} of them new")
        for problem in found.problems if found else ():
            self.note(plain(f"odd: {name}: {problem}"))

    def progress(self, running: Sequence[Trial], *, done: int, total: int, left: float | None) -> None:
        """See `ExtractReporter.progress`."""
        if self._is_silent():
            time_left = "" if left is None else f", about {human_seconds(left)} left"
            self.note(f"{done} of {total} trials done, {len(running)} running{time_left}")


def print_extracts(extracts: Extracts, stream: TextIO) -> None:
    """Bugs with the number of PoCs of each fuzzer, then what is empty, failed or missing."""
    found = counts(extracts.done)
    console = console_for(stream, _table(found, whole=False))
    if found:
        console.print(_table(found))
    for line in _lines(extracts):
        console.print(plain(line), soft_wrap=True)


def _table(found: dict[str, dict[str, dict[str, int]]], *, whole: bool = True) -> Table:
    """Between two fuzzers a line may be broken: not `whole`, it has the longest of each alone."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("target", "bug"):
        table.add_column(name, no_wrap=True)
    table.add_column("PoCs", justify="right", no_wrap=True)
    table.add_column("by fuzzer")
    for target, bugs in found.items():
        for bug, by in bugs.items():
            each = [f"{name} {n}" for name, n in by.items()]
            shown = ", ".join(each) if whole else f"{max(each, key=len)},"
            table.add_row(target, bug, str(sum(by.values())), shown)
    return table


def _lines(extracts: Extracts) -> Iterator[str]:
    done = extracts.done
    without = [trial_text(one.trial) for one in done if not one.findings and not one.pocs]
    yield from _named("Trials without findings", without)
    yield from _named("Trials whose image is an assumption", [trial_text(one.trial) for one in done if one.assumed])
    yield from _failures(extracts)
    yield from _named("Missing in ar/", [trial_text(trial) for trial in extracts.missing])
    total = len(done) + len(extracts.failed) + len(extracts.missing)
    pocs = len({poc.file for one in done for poc in one.pocs})
    kept = f" ({extracts.kept} of them before)" if extracts.kept else ""
    yield f"{len(done)} of {total} trials extracted{kept}, {pocs} PoCs. Index: {extracts.index}"


def _failures(extracts: Extracts) -> Iterator[str]:
    """By reason: a missing image is that of many trials."""
    by_reason: dict[str, list[str]] = {}
    for trial, why in sorted(extracts.failed.items()):
        by_reason.setdefault(why, []).append(trial_text(trial))
    for why, names in by_reason.items():
        yield from _named(f"Not extracted: {why}", names)


def _named(what: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"{what} ({len(names)}):"
        yield from (f"  {name}" for name in names[:_NAMED])
        if len(names) > _NAMED:
            yield f"  and {len(names) - _NAMED} more"


def members(extracts: Extracts) -> dict[str, Any]:
    """For programs: see the command's help."""
    return {
        "index": str(extracts.index),
        "extracted": len(extracts.done),
        "kept": extracts.kept,
        "no_findings": [trial_text(one.trial) for one in extracts.done if not one.findings and not one.pocs],
        "assumed_image": [trial_text(one.trial) for one in extracts.done if one.assumed],
        "failed": [{"trial": trial_text(trial), "message": why} for trial, why in sorted(extracts.failed.items())],
        "missing": [trial_text(trial) for trial in extracts.missing],
        "stopped": extracts.stopped or None,
        "bugs": counts(extracts.done),
    }
