"""Debian packages, for the machines that have apt-get; others are told what to install."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.setup.shell import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.setup.shell import Result, Shell

_LOCK = ("-o", "DPkg::Lock::Timeout=120")  # another apt may be at work on a machine that just started
POLICY = Path("/usr/sbin/policy-rc.d")  # packages ask it whether they may start their services
_NEVER = (
    "#!/bin/sh\n# By magma-remote's setup while it installs packages; remove this file if no setup runs.\nexit 101\n"
)


def update(shell: Shell) -> Result:
    """Fetch the package lists. A source out of reach must not matter when the others have what we need."""
    return shell.as_root(["apt-get", *_LOCK, "update"], timeout=300)


def install(shell: Shell, *packages: str, services: bool = True) -> None:
    """Install packages without their recommendations, or SetupError with the reason's last lines.

    Without `services`, none that they bring is started.
    """
    names = " ".join(packages)
    if not shell.which("apt-get"):
        raise SetupError(f"this is no Debian or Ubuntu: install what they call {names}, and call setup again")
    line = ["apt-get", *_LOCK, "install", "-y", "--no-install-recommends", *packages]
    shell.root_argv(["apt-get", "install", "-y", *packages])
    shell.say(f"installing {names} with apt-get …")
    updated = update(shell)
    with contextlib.nullcontext() if services else _no_services(shell, POLICY):
        result = shell.as_root(line, timeout=900)
    if not result.ok:
        told = result if updated.ok else updated
        raise SetupError(f"apt-get install {names} failed:\n{told.tail()}")


@contextlib.contextmanager
def _no_services(shell: Shell, policy: Path) -> Iterator[None]:
    """Answer packages with no within the block. A policy of the machine's own is the owner's word, and stays."""
    if policy.exists() and policy.read_text(encoding="utf-8", errors="replace") != _NEVER:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="magma-remote-") as folder:
        source = Path(folder) / policy.name
        source.write_text(_NEVER, encoding="ascii")
        written = shell.as_root(["install", "-m", "0755", os.fspath(source), os.fspath(policy)], timeout=60)
    if not written.ok:
        raise SetupError(f"{policy} could not be written, and without it packages start services:\n{written.tail()}")
    try:
        yield
    finally:
        shell.as_root(["rm", "-f", os.fspath(policy)], timeout=60)
