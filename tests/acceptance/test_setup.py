"""`make setup` in a fresh checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.places import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def run(*argv: str, cwd: Path) -> str:
    # what the calling make tells its children must not reach this one
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(argv, cwd=cwd, env=env, text=True, capture_output=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of this one without what Git ignores."""
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").split()]
    folder = tmp_path_factory.mktemp("fresh") / "checkout"
    shutil.copytree(ROOT, folder, symlinks=True, ignore=shutil.ignore_patterns(".git", *ignored))
    return folder


@pytest.mark.usefixtures("docker_engine", "base_image")
def test_a_fresh_checkout_is_set_up_once(checkout: Path) -> None:
    assert ".venv is ready" in run("make", "setup", cwd=checkout)
    assert "magma-remote" in run(".venv/bin/magma-remote", "--version", cwd=checkout)

    start = time.monotonic()
    again = run("make", "setup", cwd=checkout)
    assert time.monotonic() - start < 2
    assert "installing" not in again
