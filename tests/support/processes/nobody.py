"""Commands as a user whom closed folders stop: root may read and write everything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

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
