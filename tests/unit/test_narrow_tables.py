"""On a narrow terminal the tables of report and extract keep every figure: lines are broken, columns do not go away."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from magma_remote.cli.extract_view import print_extracts
from magma_remote.cli.report_table import print_counts
from magma_remote.model.pocs import Extracted, Poc
from magma_remote.report.analysis import analyse
from magma_remote.runtime.extracting.workdir import Extracts
from tests.support.report.written import experiment, lost, trial


@pytest.fixture(params=[20, 40, 80, 200])
def terminal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    monkeypatch.setenv("COLUMNS", str(request.param))
    monkeypatch.setenv("TERM", "xterm")
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    return stream


def rows(stream: io.StringIO) -> list[list[str]]:
    lines = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()
    return [re.split(r"\s{2,}", line.strip()) for line in lines]


def test_of_a_report(terminal: io.StringIO) -> None:
    trials = [trial(f"aflplusplus/libpng/readpng/{run}", triggered={"A": 5}) for run in range(2)]
    missing = (lost("aflplusplus/libpng/readpng/2"), lost("honggfuzz/libpng/readpng/0"))
    print_counts(analyse(experiment(*trials, missing=missing)), terminal)
    assert ["aflplusplus", "1.0 ± 0.0", "1", "1", "2 of 3"] in rows(terminal)
    assert "honggfuzz" in terminal.getvalue()
    assert "0 of 1" in terminal.getvalue()


def test_of_an_extraction(terminal: io.StringIO) -> None:
    def extracted(fuzzer: str) -> Extracted:
        poc = Poc(bug="AAH001", file=fuzzer, sha256="0" * 64, size=1, exit_code=1, case="x")
        return Extracted(trial=(fuzzer, "libpng", "readpng", 0), findings=1, pocs=(poc,), image="", recipe="")

    done = (extracted("aflplusplus"), extracted("honggfuzz"))
    found = Extracts(done=done, kept=0, failed={}, missing=(), unread=(), index=Path("index.json"))
    print_extracts(found, terminal)
    row = next(row for row in rows(terminal) if row[0] == "libpng")
    assert row[:3] == ["libpng", "AAH001", "2"]
    assert row[3].startswith("aflplusplus 1,")
    assert "honggfuzz 1" in terminal.getvalue()
