"""Our commands: in this process, and as a user whom closed folders stop, since root may read and write everything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from click.testing import CliRunner

from magma_remote.cli.main import cli
from magma_remote.errors import MagmaRemoteError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result

_MAIN_AS_I_AM = "from magma_remote.cli.main import main; main()"
_MAIN = f"""
import importlib, os, pkgutil
import magma_remote

for module in pkgutil.walk_packages(magma_remote.__path__, "magma_remote."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
{_MAIN_AS_I_AM}
"""
"""All is imported first: that user may not read this checkout, or its Python."""


def call(*arguments: str, code: int = 0) -> Result:
    """The command in this process; an error of ours becomes its message, as `main` does it."""
    result = CliRunner().invoke(cli, arguments)
    if isinstance(result.exception, MagmaRemoteError):
        assert result.exception.exit_code == code, result.exception
        return result
    assert result.exit_code == code, result.output
    return result


def refused(*arguments: str) -> str:
    """What is said on exit code 2."""
    error = call(*arguments, code=2).exception
    assert isinstance(error, MagmaRemoteError)
    return str(error)


@contextmanager
def open_place() -> Iterator[Path]:
    """A folder that every user may look into, unlike those that pytest makes."""
    place = Path(tempfile.mkdtemp(prefix="magma-remote-test-"))
    place.chmod(0o755)
    try:
        yield place
    finally:
        subprocess.run(["chmod", "-R", "u+rwX", place], check=True)
        shutil.rmtree(place)


def as_nobody(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`magma-remote` with these arguments, as this user where it is not root."""
    command = [sys.executable, "-c", _MAIN if os.getuid() == 0 else _MAIN_AS_I_AM, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
