"""The wrapper around other programs, and the machine that the tests run on."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.machine import this_machine
from magma_remote.adapters.process import run
from magma_remote.errors import CpuError, MagmaRemoteError
from magma_remote.model.cpus import cpu_sets

if TYPE_CHECKING:
    from pathlib import Path


def test_this_machine_can_be_laid_out() -> None:
    cpus, allowed = this_machine()
    assert allowed == os.sched_getaffinity(0)
    assert set(cpu_sets(cpus, allowed=allowed).cpus) == allowed


def test_without_lscpu_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CpuError, match="util-linux"):
        this_machine()


def test_run_returns_the_output() -> None:
    assert run(["printf", "%s|", "a b", "$HOME"], timeout=20) == "a b|$HOME|"


def test_run_gives_no_input_and_the_c_locale() -> None:
    assert run(["sh", "-c", "cat; echo $LC_ALL"], timeout=20) == "C\n"


def test_run_pins_the_program_and_its_children_alone() -> None:
    before = os.sched_getaffinity(0)
    cpu = max(before)
    script = "import os, subprocess, sys; subprocess.run(['nproc']); print(sorted(os.sched_getaffinity(0)))"
    assert run([sys.executable, "-c", script], timeout=20, cpus={cpu}) == f"1\n[{cpu}]\n"
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize(
    ("args", "told"),
    [
        pytest.param(["no-such-program"], "no-such-program: not found", id="missing"),
        pytest.param(["/"], "/: cannot be started: Permission denied", id="not-a-program"),
        pytest.param(["sh", "-c", "echo why >&2; exit 3"], "sh: failed with status 3: why", id="failed"),
        pytest.param(["false"], "false: failed with status 1: it said nothing", id="failed-silently"),
        pytest.param(["sleep", "60"], "sleep: no end within 0.2 s", id="too-slow"),
    ],
)
def test_run_tells_what_went_wrong(args: list[str], told: str) -> None:
    with pytest.raises(MagmaRemoteError) as caught:
        run(args, timeout=0.2 if args[0] == "sleep" else 20)
    assert str(caught.value).startswith(told)


def test_run_survives_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"a\xffb")
    assert run(["cat", str(tmp_path / "bytes")], timeout=20) == "a\ufffdb"
