"""`magma-remote report` on WORKDIRs: what it writes, says, refuses, and when it is not installed."""

from __future__ import annotations

import csv
import errno
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from magma_remote.cli.main import cli
from magma_remote.errors import MagmaRemoteError, UsageError
from magma_remote.report import making
from magma_remote.report.tables import FILES
from tests.support.workdirs.merged import HEADER, Merged, a_ball, dump

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


@pytest.fixture
def merged(tmp_path: Path) -> Merged:
    """Two fuzzers, three repeats each; honggfuzz triggers nothing."""
    workdir = Merged(tmp_path / "results")
    for run in range(3):
        workdir.add(("afl", "libpng", "readpng", run))
        workdir.add(("honggfuzz", "libpng", "readpng", run), a_ball({"5": dump(1, 0, 0, 0), "20": dump(1, 0, 0, 0)}))
    return workdir


def report(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["report", "--processes", "1", *map(str, arguments)])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_page_and_its_data(merged: Merged, tmp_path: Path) -> None:
    output = tmp_path / "out"
    result = report(merged.root, "-o", output, "--title", "Two fuzzers")
    assert result.exit_code == 0, result.output
    page = (output / "report.html").read_text(encoding="utf-8")
    assert "<h1>Two fuzzers</h1>" in page
    assert {path.name for path in (output / "data").iterdir()} == {name for name, _ in FILES}
    assert {path.name for path in output.iterdir()} == {"report.html", "data"}
    assert str(output / "report.html") in result.output
    times = {(row["fuzzer"], row["bug"], row["kind"]): row for row in rows(output / "data" / "times.csv")}
    assert times["afl", "AAH001", "triggered"]["restricted_mean"] == "15.0"
    assert times["afl", "AAH001", "triggered"]["count"] == "3"
    assert times["honggfuzz", "AAH001", "triggered"]["count"] == "0"
    assert times["honggfuzz", "AAH001", "triggered"]["why_no_interval"] == "no repeat had it"


def test_a_report_made_elsewhere_is_the_same(merged: Merged, tmp_path: Path) -> None:
    merged.remove(("afl", "libpng", "readpng", 1))
    told = CliRunner().invoke(cli, ["summary", str(merged.root), "--all", "-o", str(tmp_path / "all.json")])
    assert told.exit_code == 1
    there, here = tmp_path / "there", tmp_path / "here"
    assert report(tmp_path / "all.json", "-o", there).exit_code == report(merged.root, "-o", here).exit_code == 1
    assert "<h1>Results of all</h1>" in (there / "report.html").read_text(encoding="utf-8")
    for name in {name for name, _ in FILES} - {"report.json"}:  # it has the time and the title
        assert (there / "data" / name).read_bytes() == (here / "data" / name).read_bytes()
    again = report(there / "data" / "experiment.json", "-o", there)
    assert again.exit_code == 1
    assert (there / "data" / "trials.csv").read_bytes() == (here / "data" / "trials.csv").read_bytes()


def test_a_file_that_is_something_else_is_refused(merged: Merged, tmp_path: Path) -> None:
    assert report(merged.root, "-o", tmp_path / "out").exit_code == 0
    result = report(tmp_path / "out" / "data" / "report.json", "-o", tmp_path / "other")
    assert isinstance(result.exception, UsageError)
    assert "is not what `magma-remote summary --all` of this version writes" in str(result.exception)
    assert not (tmp_path / "other").exists()


def test_the_json_holds_the_figures(merged: Merged, tmp_path: Path) -> None:
    report(merged.root, "-o", tmp_path / "out")
    found = json.loads((tmp_path / "out" / "data" / "report.json").read_text(encoding="utf-8"))
    assert (found["version"], found["trials"], found["complete"]) == (1, 6, True)
    (pair,) = [pair for pair in found["pairs_counts"] if pair["target"] == "libpng"]
    assert (pair["x"], pair["y"], pair["a12"], pair["effect"]) == ("afl", "honggfuzz", 1.0, "large")
    assert pair["p"] == pytest.approx(0.1)
    assert [bug["bug"] for bug in found["bugs"]] == ["AAH001", "AAH003"]


def test_the_table_and_the_title_after_the_folder(merged: Merged, tmp_path: Path) -> None:
    result = report(merged.root, "-o", tmp_path / "out")
    line = next(line for line in result.output.splitlines() if line.split()[:1] == ["afl"])
    assert line.split() == ["afl", "1.0", "±", "0.0", "1", "2", "3", "of", "3"]
    assert "<h1>Results of results</h1>" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_missing_trial_fails_and_is_named_but_the_page_is_made(merged: Merged, tmp_path: Path) -> None:
    merged.remove(("afl", "libpng", "readpng", 1))
    result = report(merged.root, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "missing: afl/libpng/readpng #1" in result.output
    assert "5 trials, 1 missing; how many were asked for is not written down. Page: " in result.output
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "afl/libpng/readpng #1" in page
    assert [row["run"] for row in rows(tmp_path / "out" / "data" / "missing.csv")] == ["1"]


def test_what_is_in_no_figure_is_told_and_does_not_bury_the_page(merged: Merged, tmp_path: Path) -> None:
    for number in range(25):
        (merged.workdir.ar / f"stray{number:02d}").write_text("")
    result = report(merged.root, "-o", tmp_path / "out")
    said = [line for line in result.stderr.splitlines() if line.startswith("odd: ")]
    assert len(said) == 21
    assert "stray00 is no trial and was not read" in said[0]
    assert said[-1] == "odd: and 5 more, which the page names"
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert page.count(" is no trial and was not read") == 26
    assert "<details><summary>25 things are odd about this WORKDIR, such as: " in page


def test_an_odd_trial_is_named_on_the_page(merged: Merged, tmp_path: Path) -> None:
    merged.remove()
    merged.add(ball=a_ball({"5": HEADER, "10": dump(1, 1, 1, 1), "15": dump(1, 1, 1, 1)[:-4]}))
    assert report(merged.root, "-o", tmp_path / "out").exit_code == 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "1 trial is here but odd" in page


def test_what_comes_through_a_pipe_is_reported(merged: Merged, tmp_path: Path) -> None:
    told = CliRunner().invoke(cli, ["summary", "--all", str(merged.root)]).stdout
    arguments = ["report", "-", "-o", str(tmp_path / "out")]
    assert CliRunner().invoke(cli, arguments, input=told).exit_code == 0
    assert "<h1>Results</h1>" in (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert (tmp_path / "out/data/experiment.json").read_text(encoding="utf-8") == told
    refused = CliRunner().invoke(cli, arguments, input="{}").exception
    assert isinstance(refused, UsageError)
    assert str(refused).startswith("standard input is not what `magma-remote summary --all` of this version writes")


def test_a_second_report_replaces_the_first(merged: Merged, tmp_path: Path) -> None:
    report(merged.root, "-o", tmp_path, "--title", "First")
    assert report(merged.root, "-o", tmp_path, "--title", "Second").exit_code == 0
    assert "<h1>Second</h1>" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "data", "results"}


def test_where_the_disk_is_full_the_report_before_is_whole(
    merged: Merged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    output = tmp_path / "out"
    assert report(merged.root, "-o", output).exit_code == 0
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    merged.remove(("afl", "libpng", "readpng", 1))
    monkeypatch.setattr(making, "render", full)
    result = report(merged.root, "-o", output)
    assert str(result.exception) == (
        f"{output}: No space left on device; the report could not be written: make room there, or name another folder"
    )
    assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "inside", ["", "ar", "ar/report", "log", "poc", "trials", "manifests", "executions/report", "extracted"]
)
def test_a_report_among_the_results_is_refused(merged: Merged, inside: str) -> None:
    result = report(merged.root, "-o", merged.root / inside)
    assert isinstance(result.exception, UsageError)
    assert "name a place for a report alone" in str(result.exception)


def test_a_folder_that_holds_no_trial_is_refused(tmp_path: Path) -> None:
    result = report(Merged(tmp_path / "results").root, "-o", tmp_path / "out")
    assert isinstance(result.exception, UsageError)
    assert "holds no trial yet" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_workdir_is_refused(tmp_path: Path) -> None:
    assert isinstance(report(tmp_path, "-o", tmp_path / "out").exception, UsageError)


def test_a_place_that_cannot_be_written_is_named(merged: Merged, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = report(merged.root, "-o", tmp_path / "file" / "out")
    assert isinstance(result.exception, MagmaRemoteError)
    assert "the report could not be written" in str(result.exception)


def test_without_the_extra_it_says_how_to_get_it(merged: Merged, tmp_path: Path) -> None:
    code = (
        "import sys, importlib.util as u\n"
        "real = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'scipy' else real(name, package)\n"
        "from magma_remote.cli.main import main\n"
        "main()\n"
    )
    argv = [sys.executable, "-c", code, "report", str(merged.root), "-o", str(tmp_path / "out")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "pip install 'magma-remote[report]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_other_command_imports_the_libraries() -> None:
    code = (
        "import sys\n"
        "from magma_remote.cli.main import COMMANDS, cli\n"
        "[cli.get_command(None, name) for name in COMMANDS]\n"
        "print(sorted({'jinja2', 'numpy', 'scipy'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_without_a_standard_output_it_is_made_all_the_same(merged: Merged, tmp_path: Path) -> None:
    command = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "magma_remote", "report", str(merged.root)]
    done = subprocess.run([*command, "-o", str(tmp_path / "out")], stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out/report.html").exists()
