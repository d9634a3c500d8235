"""What the dispatcher's key may do on a worker."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.places import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = ROOT / "roles/link/files/serve-results"
READS = "rsync --server --sender -ltpre.iLsfxCIvu --append --timeout=600 ."
ECHO = """#!/usr/bin/python3
import os, sys
print(sys.argv[1:], os.environ["SSH_ORIGINAL_COMMAND"], sorted(os.sched_getaffinity(0)), os.sched_getscheduler(0))
"""


@pytest.fixture(name="serve")
def made_serve(tmp_path: Path) -> Path:
    """serve-results with a rrsync that says what it was asked for."""
    rrsync = tmp_path / "rrsync"
    rrsync.write_text(ECHO, encoding="utf-8")
    rrsync.chmod(0o755)
    serve = tmp_path / "serve-results"
    serve.write_text(PROGRAM.read_text(encoding="utf-8").replace("/usr/bin/rrsync", str(rrsync)), encoding="utf-8")
    return serve


def call(serve: Path, command: str, *cpus: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(serve), "/srv/runs", *cpus],
        env={**os.environ, "SSH_ORIGINAL_COMMAND": command},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        pytest.param(f"{READS} /srv/runs/workdir_a_1/", f"{READS} workdir_a_1/", id="a run"),
        pytest.param(f"chrt --idle 0 {READS} /srv/runs/a/", f"{READS} a/", id="politely, idle"),
        pytest.param(f"taskset -c 0,1 {READS} /srv/runs/a/", f"{READS} a/", id="politely, on CPUs"),
        pytest.param(f"{READS} /srv/runs/", f"{READS} ./", id="WORKDIRS itself"),
        pytest.param(rf"{READS} /srv/runs/a\ b\*/", rf"{READS} a\ b\*/", id="blanks and wildcards stay masked"),
    ],
)
def test_results_are_read(serve: Path, command: str, asked: str) -> None:
    done = call(serve, command)
    assert done.stdout.strip().startswith(f"['-ro', '-no-lock', '/srv/runs'] {asked} ["), done.stderr


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("", id="a shell"),
        pytest.param("id", id="a command"),
        pytest.param("taskset -c 0 id", id="a command behind taskset"),
        pytest.param(f"{READS} /srv/runs/a/; id", id="a command behind rsync"),
        pytest.param("rsync --server -ltpre.iLsfxCIvu . /srv/runs/a/", id="writing"),
        pytest.param(f"{READS} /etc/", id="another folder"),
        pytest.param(f"{READS} /srv/workers/", id="a folder whose name begins so"),
        pytest.param(f"{READS} /srv/runs/../", id="up"),
        pytest.param(f"{READS} work/", id="a relative path"),
        pytest.param(f"{READS} /srv/runs/a/ /etc/", id="two paths"),
        pytest.param("rsync --server --sender -lLtpre.iLsfxCIvu . /srv/runs/a/", id="following links"),
        pytest.param("rsync --server --sender -re.x --copy-unsafe-links . /srv/runs/a/", id="following unsafe links"),
        pytest.param("rsync --server --sender -re.x --remove-source-files . /srv/runs/a/", id="removing"),
        pytest.param("rsync --server --sender -re.x --files-from=/etc/x . /srv/runs/a/", id="a list of files"),
        pytest.param("rsync --server --sender -re.x --log-file=/srv/runs/x . /srv/runs/a/", id="a log"),
        pytest.param("rsync --server --sender -se.x", id="paths that do not stand in the command"),
        pytest.param(f"{READS} '/srv/runs/a", id="a quote that does not end"),
    ],
)
def test_all_else_is_refused(serve: Path, command: str) -> None:
    done = call(serve, command)
    assert done.stdout == ""
    assert done.returncode == 1
    assert done.stderr.startswith("magma-remote: this key may not do that: ")


def test_reading_waits_for_trials(serve: Path) -> None:
    assert call(serve, f"{READS} /srv/runs/a/").stdout.endswith(f" {os.SCHED_IDLE}\n")


def test_reading_keeps_to_its_cpus(serve: Path) -> None:
    cpu = min(os.sched_getaffinity(0))
    assert f" [{cpu}] {os.SCHED_OTHER}" in call(serve, f"{READS} /srv/runs/a/", str(cpu)).stdout
