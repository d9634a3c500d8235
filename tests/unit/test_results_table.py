"""The table at the end: right counts, whole at any width, and a missing trial is loud."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from magma_remote.cli.results_table import print_summary
from magma_remote.model.canaries import Bugs
from magma_remote.model.jobs import Job
from magma_remote.model.layout import Workdir
from magma_remote.model.outcome import Reason
from magma_remote.model.result import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

BUGS = Bugs(reached=frozenset({"B1", "B2"}), triggered=frozenset({"B1"}))
TARGETS = ("libpng", "libsndfile", "libtiff", "libxml2", "lua", "openssl", "php", "poppler", "sqlite3")


def result(
    repeat: int = 0, fuzzer: str = "afl", target: str = "libpng", *, reason: Reason | None = None, bugs: Bugs = BUGS
) -> Result:
    job = Job(repeat=repeat, fuzzer=fuzzer, target=target, program="p")
    message = "it [x] broke [/bold]" if reason else ""
    return Result(job=job, reason=reason, message=message, bugs=bugs, tail=("[red]a", "b[/]") if reason else ())


def printed(
    results: Sequence[Result],
    monkeypatch: pytest.MonkeyPatch,
    *,
    width: int | None = None,
    workdir: Path = Path("/results"),
) -> str:
    """The summary on a terminal of this width, or in a file."""
    stream = io.StringIO()
    if width:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(stream, "isatty", lambda: True)
    print_summary(results, Workdir(workdir), stream)
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())


def rows(text: str) -> list[list[str]]:
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines() if line.startswith("  ") and line.strip()]


def test_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Bugs(reached=frozenset({"B3"}), triggered=frozenset({"B3"}))
    results = [
        result(0),
        result(1, bugs=other),
        result(2, reason=Reason.ENDED_EARLY, bugs=Bugs(reached=frozenset({"X"}), triggered=frozenset({"X"}))),
        result(0, "libfuzzer", "libtiff", bugs=Bugs()),
    ]
    text = printed(results, monkeypatch)
    assert rows(text)[:7] == [
        ["fuzzer", "libpng", "libtiff"],
        ["afl", "2 of 3 trials", "-"],
        ["3 reached"],
        ["2 triggered"],
        ["libfuzzer", "-", "1 of 1 trials"],
        ["0 reached"],
        ["0 triggered"],
    ]
    assert "libpng B1: afl in 1 of 2" in text
    assert "libpng B3: afl in 1 of 2" in text
    assert "X" not in text
    assert "3 of 4 trials complete. Results: /results/ar  Logs: /results/log" in text


def test_a_missing_trial_is_loud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    failed = result(1, reason=Reason.ENDED_EARLY)
    log = Workdir(tmp_path).container_log(failed.job)
    log.parent.mkdir()
    log.touch()
    text = printed([result(), failed], monkeypatch, workdir=tmp_path)
    assert "Missing trials" in text
    assert "  afl/libpng/p #1: ended_early: it [x] broke [/bold]\n      | [red]a\n      | b[/]\n" in text
    assert f"whole log: {log}" in text


def test_all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed([result(bugs=Bugs())], monkeypatch)
    assert "Missing" not in text
    assert "Bugs triggered" not in text


def test_no_result_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "0 of 0 trials complete" in printed([], monkeypatch)


@pytest.mark.parametrize("width", [None, 200, 80, 40, 20])
def test_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch, width: int | None) -> None:
    results = [
        result(repeat, fuzzer, target) for fuzzer in ("afl", "aflplusplus") for target in TARGETS for repeat in (0, 1)
    ]
    text = printed([r for r in results if r.job != results[0].job], monkeypatch, width=width)
    table = text[: text.index("Bugs triggered")]
    narrow = width is not None and width < 30  # nothing fits there: what is lost is marked
    assert ("…" in table) == narrow
    assert all(cell_len(line) <= (width or 1000) for line in table.splitlines())
    assert table.count("2 of 2 trials") == (0 if narrow else 17)
    assert [table.count(target) for target in TARGETS] == [1] * 9 or narrow


def test_long_names_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    fuzzer, target = "f" * 90, "t" * 90
    text = printed([result(0, fuzzer, target)], monkeypatch)
    assert fuzzer in text
    assert target in text


@pytest.mark.parametrize("width", [None, 80, 40])
def test_brackets_in_names_are_no_markup(monkeypatch: pytest.MonkeyPatch, width: int | None) -> None:
    text = printed([result(0, "[x]", "[bold]"), result(0, "[x]", "[/z]")], monkeypatch, width=width)
    for name in ("[x]", "[bold]", "[/z]"):
        assert name in text[: text.index("Bugs triggered")]
