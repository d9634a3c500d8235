"""The table at the end of a run: what was found, what is missing, where everything is."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from magma_remote.cli.progress import trial_label
from magma_remote.model.canaries import Bugs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from magma_remote.model.layout import Workdir
    from magma_remote.model.result import Result

_ANY_WIDTH = 100_000  # a file or a pipe loses nothing
_PADDING = 3
_TAIL = 5


def print_summary(results: Sequence[Result], workdir: Workdir, stream: TextIO) -> None:
    """Fuzzer by target with trials and bugs, then the bugs, then every failure with its reason."""
    cells: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in results:
        cells[result.job.fuzzer, result.job.target].append(result)
    targets = list(dict.fromkeys(target for _, target in cells))
    console = Console(file=stream, width=None if stream.isatty() else _ANY_WIDTH, highlight=False, markup=False)
    for some in _that_fit(cells, targets, console.width):
        console.print(_matrix(cells, some))
    for line in [*_bug_lines(results), *_failure_lines(results, workdir)]:
        console.print(line, soft_wrap=True)
    complete = sum(result.complete for result in results)
    console.print(
        f"{complete} of {len(results)} trials complete. Results: {workdir.ar}  Logs: {workdir.logs}",
        soft_wrap=True,
    )


def _that_fit(cells: dict[tuple[str, str], list[Result]], targets: Sequence[str], width: int) -> Iterator[list[str]]:
    """Targets in groups that make a table each: one that is too wide would lose its numbers."""
    left = width - _PADDING - max((len(fuzzer) for fuzzer, _ in cells), default=0)
    group: list[str] = []
    room = left
    for target in targets:
        rows = [line for fuzzer, of in cells if of == target for line in _cell(cells[fuzzer, of]).splitlines()]
        needed = max(map(len, [target, *rows])) + _PADDING
        if group and needed > room:
            yield group
            group, room = [], left
        group.append(target)
        room -= needed
    yield group


def _matrix(cells: dict[tuple[str, str], list[Result]], targets: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_lines=True)
    table.add_column("fuzzer", no_wrap=True)
    for target in targets:
        table.add_column(target, no_wrap=True)
    for fuzzer in dict.fromkeys(fuzzer for fuzzer, _ in cells):
        table.add_row(fuzzer, *(_cell(cells.get((fuzzer, target), [])) for target in targets))
    return table


def _cell(results: Sequence[Result]) -> str:
    if not results:
        return "-"
    complete = [result for result in results if result.complete]
    bugs = _union(complete)
    return f"{len(complete)} of {len(results)} trials\n{len(bugs.reached)} reached\n{len(bugs.triggered)} triggered"


def _union(results: Sequence[Result]) -> Bugs:
    bugs = Bugs()
    for result in results:
        bugs |= result.bugs
    return bugs


def _bug_lines(results: Sequence[Result]) -> list[str]:
    """Each triggered bug with how many complete trials of each fuzzer and target triggered it."""
    found: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    tried: dict[tuple[str, str], int] = defaultdict(int)
    for result in results:
        if result.complete:
            tried[result.job.fuzzer, result.job.target] += 1
            for bug in result.bugs.triggered:
                found[result.job.target, bug][result.job.fuzzer] += 1
    lines = [
        f"  {target} {bug}: "
        + ", ".join(f"{fuzzer} in {count} of {tried[fuzzer, target]}" for fuzzer, count in sorted(by.items()))
        for (target, bug), by in sorted(found.items())
    ]
    return ["Bugs triggered, in complete trials:", *lines, ""] if lines else []


def _failure_lines(results: Sequence[Result], workdir: Workdir) -> list[str]:
    lines: list[str] = []
    for result in results:
        if result.reason is not None:
            lines.append(f"  {trial_label(result.job)}: {result.reason.value}: {result.message}")
            lines += [f"      | {line}" for line in result.tail[-_TAIL:]]
            log = workdir.container_log(result.job)
            lines += [f"      whole log: {log}"] if log.exists() else []
    return ["Missing trials (the same command runs them again):", *lines, ""] if lines else []
