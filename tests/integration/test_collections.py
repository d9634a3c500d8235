"""requirements.yml, the package that stands in for Galaxy, and what setup installed: one version."""

from __future__ import annotations

import json
import os
import zipfile
from typing import TYPE_CHECKING

import pytest

from scripts.setup import galaxy
from scripts.setup.memory import FakeShell
from scripts.setup.shell import Result, SetupError, Shell
from tests.support.places import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PINS = galaxy.wanted((ROOT / galaxy.REQUIREMENTS).read_text(encoding="utf-8"))


def write_wheel(folder: Path, version: str) -> None:
    manifest = json.dumps({"collection_info": {"version": version}})
    with zipfile.ZipFile(folder / "ansible-1.0-py3-none-any.whl", "w") as archive:
        for name in PINS:
            archive.writestr(f"ansible_collections/{name.replace('.', '/')}/MANIFEST.json", manifest)
        archive.writestr("ansible_collections/other/one/MANIFEST.json", manifest)


class Offline(FakeShell):
    """No Galaxy; pip downloads a wheel with `version` of each collection."""

    def __init__(self, version: str) -> None:
        super().__init__()
        self.version = version

    def run(self, argv: Sequence[str], *, timeout: float) -> Result:
        super().run(argv, timeout=timeout)
        if "pip" not in argv:
            return Result(code=1, output="no route to host")
        write_wheel(type(ROOT)(argv[-1]), self.version)
        return Result(code=0, output="")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / galaxy.REQUIREMENTS).write_bytes((ROOT / galaxy.REQUIREMENTS).read_bytes())
    return tmp_path


def test_requirements_are_read() -> None:
    assert PINS
    assert len(PINS) == (ROOT / galaxy.REQUIREMENTS).read_text(encoding="utf-8").count("- name:")


def test_what_is_installed_is_what_is_pinned() -> None:
    assert {name: galaxy.installed(ROOT / galaxy.FOLDER, name) for name in PINS} == PINS


def test_the_stand_in_for_galaxy_holds_the_same_versions(tmp_path: Path) -> None:
    """The real package index, so that a new pin in one file alone is found here and not by a user."""
    try:
        galaxy.from_pypi(Shell(), ROOT, tmp_path, PINS)
    except SetupError as error:
        if "package index" not in str(error) or os.environ.get("CI"):
            raise
        pytest.skip(str(error).splitlines()[0])
    assert {name: galaxy.installed(tmp_path, name) for name in PINS} == PINS


def test_without_galaxy_only_the_wanted_are_unpacked_and_a_second_time_asks_nobody(checkout: Path) -> None:
    shell = Offline(next(iter(PINS.values())))
    assert "from PyPI" in galaxy.ensure(shell, checkout)
    folder = checkout / galaxy.FOLDER / "ansible_collections"
    assert {f"{path.parent.parent.name}.{path.parent.name}" for path in folder.glob("*/*/MANIFEST.json")} == set(PINS)
    asked = len(shell.ran)
    assert "there" in galaxy.ensure(shell, checkout)
    assert len(shell.ran) == asked


def test_another_version_is_replaced(checkout: Path) -> None:
    galaxy.from_pypi(Offline("0.1"), checkout, checkout / galaxy.FOLDER, dict.fromkeys(PINS, "0.1"))
    galaxy.ensure(Offline(next(iter(PINS.values()))), checkout)
    assert {name: galaxy.installed(checkout / galaxy.FOLDER, name) for name in PINS} == PINS


def test_a_wheel_with_another_version_is_refused(checkout: Path) -> None:
    with pytest.raises(SetupError, match=r"holds ansible\.posix 0\.1, requirements\.yml wants"):
        galaxy.ensure(Offline("0.1"), checkout)
    assert not list((checkout / galaxy.FOLDER).glob("ansible_collections/*/*"))


def test_no_source_at_all_says_so(checkout: Path) -> None:
    shell = FakeShell({"": Result(code=1, output="no route to host")})
    with pytest.raises(SetupError, match="neither Galaxy nor the package index"):
        galaxy.ensure(shell, checkout)
