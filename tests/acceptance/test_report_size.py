"""The report of a large campaign: 10 fuzzers, 20 programs, 10 repeats."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support.places import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def test_a_report_of_2000_trials_takes_under_a_minute_and_a_gigabyte(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "tests.bench.report", str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=250, check=True, cwd=ROOT)
    found = re.search(
        r"report of 2,000 trials .* \((\S+) s of CPU\), (\d+) MiB at most, page of (\S+) MiB", done.stdout
    )
    assert found, done.stdout
    # CPU time, since others may have the machine's CPUs meanwhile
    cpu, peak, page = map(float, found.groups())
    assert cpu < 60
    assert peak < 1000
    assert page < 10
    assert (tmp_path / "report.html").stat().st_size > 1_000_000
