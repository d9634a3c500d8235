"""`make demo`: deploy, a campaign and collect on this machine, as its user calls them; and the same with quickrun."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import missing
from tests.support.places import ROOT
from tests.support.workdirs.magma_reader import read_workdir

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 5.0
AGAIN_SECONDS = 240.0  # two minutes is what is wanted, on a machine that does nothing else
TRIALS = 4
STATE = (Path("/opt/magma-remote"), Path("/etc/magma-remote"), Path("/var/lib/magma-remote"))


def command(*argv: str) -> str:
    """What it said; it must have exited 0."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    env["PATH"] = f"{ROOT / '.venv/bin'}:{env['PATH']}"
    done = subprocess.run(argv, cwd=ROOT, env=env, text=True, capture_output=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def undeployed() -> Iterator[None]:
    """A machine that nobody has deployed to, before and after."""
    if os.geteuid() and subprocess.run(["sudo", "-n", "true"], check=False, capture_output=True).returncode:
        missing("deploy needs root")
    if any(path.exists() for path in STATE):
        pytest.skip("this machine is deployed to: its services and results are somebody's")
    try:
        yield
    finally:
        command("ansible-playbook", "playbooks/teardown.yml", "-e", "remove_results=true")
    assert not any(path.exists() for path in STATE)


@pytest.mark.timeout(3600)  # the images are built here where no test before has built them
@pytest.mark.usefixtures("docker_engine", "base_image", "undeployed")
def test_make_demo_finds_bugs_and_is_quick_the_second_time() -> None:
    results = results_of(command("make", "demo"))
    found = read_workdir(results).values()
    assert all(trial["reached"] for trial in found)
    assert sum(bool(trial["triggered"]) for trial in found) >= TRIALS // 2
    assert "<html" in (results / "report/report.html").read_text()

    begun = time.monotonic()
    said = command("make", "demo")
    assert time.monotonic() - begun < AGAIN_SECONDS, said
    assert results_of(said) != results


def results_of(said: str) -> Path:
    """The folder of a demo's results, from what it said; all of them must be there."""
    assert f"All {TRIALS} trials are complete" in said, said
    assert re.search(rf"Verified: \d+ files of {TRIALS} trials", said), said
    assert re.search(r"libpng .* triggered +CVE-\d{4}-\d+", said), said
    there = re.search(r"The results are in (\S+)", said)
    assert there, said
    folder = Path(there[1])
    assert len(list(folder.glob("ar/*/*/*/*/ball.tar"))) == TRIALS
    return folder


@pytest.mark.usefixtures("docker_engine", "base_image")
def test_a_second_quickrun_starts_at_once(tmp_path: Path) -> None:
    campaign = tmp_path / "campaign.hjson"
    tree = ROOT / "examples/magma"
    campaign.write_text(f'{{MAGMA: "{tree}", REPEAT: 1, FUZZERS: ["aflplusplus"], TARGETS: ["libpng"], TIMEOUT: "2s"}}')
    quickrun(tmp_path / "first", campaign)  # builds what is not there yet
    shutil.rmtree(tmp_path / "first")
    said, started = quickrun(tmp_path / "second", campaign)
    assert "Built" not in said
    assert started < START_SECONDS


def quickrun(workdir: Path, campaign: Path) -> tuple[str, float]:
    """What it said, and after how many seconds its first trial started; it must have exited 0."""
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
