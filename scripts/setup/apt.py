"""Debian packages, for the machines that have apt-get; others are told what to install."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.setup.shell import SetupError

if TYPE_CHECKING:
    from scripts.setup.shell import Result, Shell

_LOCK = ("-o", "DPkg::Lock::Timeout=120")  # another apt may be at work on a machine that just started


def update(shell: Shell) -> Result:
    """Fetch the package lists. A source out of reach must not matter when the others have what we need."""
    return shell.as_root(["apt-get", *_LOCK, "update"], timeout=300)


def install(shell: Shell, *packages: str) -> None:
    """Install packages without their recommendations, or SetupError with the reason's last lines."""
    names = " ".join(packages)
    if not shell.which("apt-get"):
        raise SetupError(f"this is no Debian or Ubuntu: install what they call {names}, and call setup again")
    line = ["apt-get", *_LOCK, "install", "-y", "--no-install-recommends", *packages]
    shell.root_argv(["apt-get", "install", "-y", *packages])
    shell.say(f"installing {names} with apt-get …")
    updated = update(shell)
    result = shell.as_root(line, timeout=900)
    if not result.ok:
        told = result if updated.ok else updated
        raise SetupError(f"apt-get install {names} failed:\n{told.tail()}")
