"""`make setup` from a fresh clone."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*argv: str, cwd: Path) -> str:
    # what the calling make tells its children must not reach this one
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(argv, cwd=cwd, env=env, text=True, capture_output=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh") / "clone"
    run("git", "clone", "--quiet", str(ROOT), str(folder), cwd=ROOT)
    return folder


@pytest.mark.usefixtures("docker_engine", "base_image")
def test_a_fresh_clone_is_set_up_once(clone: Path) -> None:
    assert ".venv is ready" in run("make", "setup", cwd=clone)
    assert "magma-remote" in run(".venv/bin/magma-remote", "--version", cwd=clone)

    start = time.monotonic()
    again = run("make", "setup", cwd=clone)
    assert time.monotonic() - start < 2
    assert "installing" not in again
    assert run("git", "status", "--porcelain", cwd=clone) == ""
