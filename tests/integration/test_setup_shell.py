from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest

from scripts.setup.shell import NOT_FOUND, TIMED_OUT, SetupError, Shell
from tests.support.pids import alive

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shell() -> Shell:
    return Shell()


def test_a_run_tells_code_and_both_outputs(shell: Shell) -> None:
    result = shell.run([sys.executable, "-c", "import os; os.system('echo out; echo err >&2'); exit(3)"], timeout=30)
    assert (result.code, sorted(result.output.split())) == (3, ["err", "out"])


def test_a_missing_program_is_told(shell: Shell, tmp_path: Path) -> None:
    for result in (
        shell.run([str(tmp_path / "none")], timeout=30),
        shell.watch([str(tmp_path / "none")], idle=1, timeout=30),
    ):
        assert result.code == NOT_FOUND
        assert "No such file" in result.output


def test_a_run_out_of_time_takes_its_children_along(shell: Shell, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    start = time.monotonic()
    result = shell.run(["sh", "-c", f"sleep 600 & echo $! > {pid}; wait"], timeout=1)
    assert result.code == TIMED_OUT
    assert time.monotonic() - start < 10
    assert shell.wait_for(lambda: not alive(int(pid.read_text(encoding="ascii"))), timeout=10)


def test_a_program_that_falls_silent_is_ended(shell: Shell) -> None:
    start = time.monotonic()
    result = shell.watch(["sh", "-c", "echo layer one; exec sleep 600"], idle=0.5, timeout=60)
    assert (result.code, result.output.strip()) == (TIMED_OUT, "layer one")
    assert time.monotonic() - start < 10


def test_a_program_that_shows_life_may_take_its_time(shell: Shell) -> None:
    line = "for i in 1 2 3 4 5; do echo $i; sleep 0.3; done; exit 7"
    result = shell.watch(["sh", "-c", line], idle=1, timeout=60)
    assert (result.code, result.output.split()) == (7, ["1", "2", "3", "4", "5"])


def test_a_program_that_never_ends_meets_the_limit(shell: Shell) -> None:
    assert shell.watch(["sh", "-c", "while echo on; do sleep 0.1; done"], idle=5, timeout=1).code == TIMED_OUT


def test_nothing_can_ask_the_user(shell: Shell) -> None:
    assert shell.run(["sh", "-c", "read answer || echo no answer"], timeout=30).output == "no answer\n"


def test_sudo_that_would_ask_is_refused_with_the_line(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "is_root", lambda: False)
    monkeypatch.setitem(shell.env, "PATH", str(tmp_path))  # no sudo at all
    with pytest.raises(SetupError, match=r"Type:\n    sudo service 'two words' start"):
        shell.as_root(["service", "two words", "start"], timeout=30)
