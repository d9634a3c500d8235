"""Ansible collections of requirements.yml: from Galaxy, else the same versions out of PyPI's `ansible` package."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.setup.shell import SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.setup.shell import Shell

REQUIREMENTS = "requirements.yml"
BUNDLE = "requirements-collections.txt"  # pins the package that carries them, for where Galaxy is out of reach
FOLDER = Path(".cache/collections")  # ansible.cfg's collections_path
_ENTRY = re.compile(r"^ +- name: *(\w+\.\w+)[^\n]*\n +version: *(\S+)", re.MULTILINE)
_SILENCE, _GALAXY_LIMIT, _PYPI_LIMIT = 10, 120, 900  # seconds


def wanted(requirements: str) -> dict[str, str]:
    """Version by collection, of a requirements.yml in its plain form (setup has no YAML reader)."""
    return dict(_ENTRY.findall(requirements))


def installed(folder: Path, name: str) -> str | None:
    """Version of the collection `name` below the collections path `folder`."""
    try:
        manifest = json.loads((_home(folder, name) / "MANIFEST.json").read_bytes())
    except (OSError, ValueError):
        return None
    return str(manifest["collection_info"]["version"])


def ensure(shell: Shell, root: Path) -> str:
    """Make the wanted versions present. Where they are, nothing is touched and nobody is asked."""
    pins, folder = wanted((root / REQUIREMENTS).read_text(encoding="utf-8")), root / FOLDER
    told = ", ".join(f"{name} {version}" for name, version in pins.items())
    if _all_there(folder, pins):
        return f"{told} there"
    shell.say(f"getting {told} from Galaxy …")
    if from_galaxy(shell, root, folder) and _all_there(folder, pins):
        return f"{told} installed from Galaxy"
    shell.say("no answer; taking the same out of PyPI's package ansible …")
    from_pypi(shell, root, folder, pins)
    return f"{told} installed from PyPI's package ansible"


def from_galaxy(shell: Shell, root: Path, folder: Path) -> bool:
    """Whether Galaxy answered and gave what requirements.yml names."""
    program, limit = root / ".venv/bin/ansible-galaxy", str(_SILENCE)
    argv = [os.fspath(program), "collection", "install", "--force", "--timeout", limit, "-p", os.fspath(folder)]
    return shell.run([*argv, "-r", os.fspath(root / REQUIREMENTS)], timeout=_GALAXY_LIMIT).ok


def from_pypi(shell: Shell, root: Path, folder: Path, pins: Mapping[str, str]) -> None:
    """Unpack the collections from the pinned wheel, or SetupError where it cannot be had or holds other versions."""
    with tempfile.TemporaryDirectory(prefix="magma-remote-") as scratch:
        argv = [os.fspath(root / ".venv/bin/python"), "-m", "pip", "download", "--disable-pip-version-check"]
        source = ["--no-input", "--no-deps", "-r", os.fspath(root / BUNDLE), "-d", scratch]
        result = shell.run([*argv, *source], timeout=_PYPI_LIMIT)
        wheels = sorted(Path(scratch).glob("ansible-*.whl"))
        if not result.ok or not wheels:
            raise SetupError(f"neither Galaxy nor the package index gave the Ansible collections:\n{result.tail()}")
        for name, version in pins.items():
            _unpack(wheels[0], folder, name, version)


def _unpack(wheel: Path, folder: Path, name: str, version: str) -> None:
    """Make `name` in `folder` what the wheel holds, by one rename."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="making-") as making, zipfile.ZipFile(wheel) as archive:
        prefix = _home(Path(), name).as_posix() + "/"
        archive.extractall(making, [entry for entry in archive.namelist() if entry.startswith(prefix)])
        found = installed(Path(making), name)
        if found != version:
            raise SetupError(
                f"{wheel.name} holds {name} {found or 'not at all'}, {REQUIREMENTS} wants {version}: "
                f"pin in {BUNDLE} the release of ansible that has it"
            )
        home = _home(folder, name)
        if home.exists():
            shutil.rmtree(home)
        home.parent.mkdir(parents=True, exist_ok=True)
        _home(Path(making), name).rename(home)


def _home(folder: Path, name: str) -> Path:
    return folder.joinpath("ansible_collections", *name.split("."))


def _all_there(folder: Path, pins: Mapping[str, str]) -> bool:
    return all(installed(folder, name) == version for name, version in pins.items())
