"""The demo campaign, as `make demo` runs it: real fuzzers find real bugs, and a second run starts at once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.magma_reader import read_workdir

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 5.0
TRIALS = 4


def demo(workdir: Path, campaign: Path = ROOT / "examples/demo.hjson") -> tuple[str, float]:
    """What quickrun said, and after how many seconds its first trial started; it must have exited 0."""
    argv = [sys.executable, "-m", "magma_remote", "quickrun", str(campaign), "--workdir", str(workdir)]
    begun = time.monotonic()
    started = 0.0
    said = ""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        limit = threading.Timer(1500, process.kill)
        limit.start()
        assert process.stdout
        for line in process.stdout:
            said += line
            if "Started" in line and not started:
                started = time.monotonic() - begun
        limit.cancel()
    assert process.returncode == 0, said
    return said, started


@pytest.mark.timeout(1800)  # the images are built here where no test before has built them
@pytest.mark.usefixtures("docker_engine", "base_image")
def test_the_demo_finds_bugs_and_its_second_run_starts_at_once(tmp_path: Path) -> None:
    said, _ = demo(tmp_path / "first")
    assert f"{TRIALS} of {TRIALS} trials complete" in said
    found = read_workdir(tmp_path / "first").values()
    assert all(trial["reached"] for trial in found), said
    assert sum(bool(trial["triggered"]) for trial in found) >= TRIALS // 2, said
    assert re.search(r"libpng CVE-\d{4}-\d+: ", said)
    for record in (tmp_path / "first/trials").glob("*.json"):
        facts = json.loads(record.read_text())
        assert facts["reason"] is None
        assert facts["terminated_at"] - facts["launched_at"] == pytest.approx(30, abs=2)

    text = (ROOT / "examples/demo.hjson").read_text().replace('"30s"', '"2s"')
    again = tmp_path / "again.hjson"
    again.write_text(text.replace('MAGMA: "magma"', f'MAGMA: "{ROOT / "examples/magma"}"'))
    said, started = demo(tmp_path / "second", again)
    assert "Built" not in said
    assert started < START_SECONDS
