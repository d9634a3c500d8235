from __future__ import annotations

import importlib.util
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from scripts.setup import __main__ as start
from scripts.setup import kernel, python_env, steps
from scripts.setup.memory import FakeShell
from scripts.setup.shell import NOT_FOUND, Result, SetupError, Shell

if TYPE_CHECKING:
    from pathlib import Path

OK = Result(code=0, output="")


def failed(output: str = "", code: int = 1) -> Result:
    return Result(code=code, output=output)


# core_pattern


@pytest.mark.parametrize("pattern", ["core", "core.%p", "/var/crash/%e"], ids=["core", "by-pid", "folder"])
def test_a_pattern_that_is_no_pipe_is_left_alone(pattern: str, tmp_path: Path) -> None:
    path = tmp_path / "core_pattern"
    path.write_text(pattern, encoding="ascii")
    shell = FakeShell()
    assert pattern in kernel.ensure(shell, path)
    assert path.read_text(encoding="ascii") == pattern
    assert shell.ran == []


@pytest.mark.parametrize(
    ("root", "sudo", "expected"),
    [
        pytest.param(True, failed(), "is now 'core'", id="root"),
        pytest.param(False, OK, "is now 'core'", id="sudo"),
        pytest.param(False, failed(), "sudo sysctl -w kernel.core_pattern=core", id="neither"),
    ],
)
def test_a_pipe_is_replaced_or_the_line_is_told(*, root: bool, sudo: Result, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "core_pattern"
    path.write_text("|/usr/share/apport/apport %p\n", encoding="ascii")
    assert expected in kernel.ensure(FakeShell({"sudo -n true": sudo}, root=root), path)
    assert path.read_text(encoding="ascii").startswith("core" if root else "|")


# the virtual environment


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in python_env.PINS:
        (tmp_path / name).write_text(name, encoding="ascii")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / python_env.STAMP).write_text(python_env.fingerprint(tmp_path), encoding="ascii")
    return tmp_path


def test_unchanged_pins_install_nothing(checkout: Path) -> None:
    shell = FakeShell()
    assert "unchanged" in python_env.ensure(shell, checkout)
    assert len(shell.ran) == 1


@pytest.mark.parametrize("name", python_env.PINS)
def test_a_changed_pin_installs_once(name: str, checkout: Path) -> None:
    (checkout / name).write_text("changed", encoding="ascii")
    shell = FakeShell()
    assert python_env.ensure(shell, checkout) == ".venv is ready"
    assert "unchanged" in python_env.ensure(shell, checkout)
    assert not shell.ran_words("-m venv")


def test_a_failed_install_is_tried_again(checkout: Path) -> None:
    (checkout / "constraints.txt").write_text("changed", encoding="ascii")
    with pytest.raises(SetupError, match="is the package index in reach"):
        python_env.ensure(FakeShell({"pip install": failed("no route to host")}), checkout)
    assert python_env.ensure(FakeShell(), checkout) == ".venv is ready"


def test_a_venv_whose_python_is_gone_is_made_anew(checkout: Path) -> None:
    class Creating(FakeShell):
        def answer(self, line: str) -> Result:
            if "-m venv" in line:
                (checkout / ".venv").mkdir()
            return failed(code=NOT_FOUND) if "--version" in line else OK

    shell = Creating()
    assert python_env.ensure(shell, checkout) == ".venv is ready"
    assert shell.ran_words(f"{sys.executable} -m venv")


def test_debians_missing_ensurepip_is_installed(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    shell = FakeShell({"--version": failed(code=NOT_FOUND), "apt-get": failed("E: no")}, programs=["apt-get"])
    with pytest.raises(SetupError, match=rf"apt-get install python3\.{sys.version_info.minor}-venv failed"):
        python_env.ensure(shell, checkout)


# the whole


def test_a_step_that_fails_ends_setup_with_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(_: Shell) -> str:
        raise SetupError("type this")

    assert steps.take(FakeShell(), [("one", lambda _: "fine"), ("two", refuse), ("three", refuse)]) == 1
    told = capsys.readouterr()
    assert told.out.split() == ["setup:", "one", "fine"]
    assert told.err.split() == ["setup:", "two", "type", "this"]


def test_an_old_python_says_what_is_needed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert start.start() == 1
    assert "is Python 3.9.2; 3.11 or newer is needed" in capsys.readouterr().err
