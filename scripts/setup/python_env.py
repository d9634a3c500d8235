"""The virtual environment `.venv`: pinned packages and this checkout in editable mode."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import sys
from typing import TYPE_CHECKING

from scripts.setup import apt
from scripts.setup.shell import SetupError

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.setup.shell import Shell

PINS = (
    "requirements.txt",
    "requirements-ansible.txt",
    "requirements-report.txt",
    "requirements-dev.txt",
    "constraints.txt",
    "pyproject.toml",
)
STAMP = ".magma-remote-pins"


def fingerprint(root: Path) -> str:
    """Digest of all that decides what is installed; the folder too, which an editable install points to."""
    digest = hashlib.sha256(str(root).encode())
    for name in PINS:
        digest.update(b"\0" + (root / name).read_bytes())
    return digest.hexdigest()


def ensure(shell: Shell, root: Path) -> str:
    """Make `.venv` match the pins. Nothing is touched where its stamp says that it does."""
    venv = root / ".venv"
    python = venv / "bin" / "python"
    version = shell.run([str(python), "--version"], timeout=60)
    stamp, wanted = venv / STAMP, fingerprint(root)
    if version.ok and stamp.is_file() and stamp.read_text(encoding="ascii") == wanted:
        return f".venv is there, its pins unchanged ({version.output.strip()})"
    if not version.ok:
        _create(shell, venv)
    shell.say("installing the pinned packages into .venv …")
    _pip(shell, python, "-r", str(root / "requirements-dev.txt"), "-c", str(root / "constraints.txt"))
    _pip(shell, python, "--no-deps", "--no-build-isolation", "-e", str(root))
    stamp.write_text(wanted, encoding="ascii")
    return ".venv is ready"


def _create(shell: Shell, venv: Path) -> None:
    if importlib.util.find_spec("ensurepip") is None:  # Debian keeps it in a package of its own
        apt.install(shell, f"python3.{sys.version_info.minor}-venv")
    shell.say(f"creating .venv with {sys.executable} …")
    if venv.exists():
        shutil.rmtree(venv)  # it holds nothing but what setup puts there, and its Python does not run
    result = shell.run([sys.executable, "-m", "venv", str(venv)], timeout=300)
    if not result.ok:
        raise SetupError(f"{sys.executable} -m venv {venv} failed:\n{result.tail()}")


def _pip(shell: Shell, python: Path, *arguments: str) -> None:
    argv = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *arguments]
    result = shell.run(argv, timeout=1800)
    if not result.ok:
        raise SetupError(
            f"pip could not install {' '.join(arguments)}: is the package index in reach?\n{result.tail()}"
        )
