"""Debian packages, for the machines that have apt-get; others are told what to install."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.setup.shell import SetupError

if TYPE_CHECKING:
    from scripts.setup.shell import Shell

_LOCK = ("-o", "DPkg::Lock::Timeout=120")  # another apt may be at work on a machine that just started


def install(shell: Shell, *packages: str) -> None:
    """Install packages without their recommendations, or SetupError with the reason's last lines."""
    names = " ".join(packages)
    if not shell.which("apt-get"):
        raise SetupError(f"this is no Debian or Ubuntu: install what they call {names}, and call setup again")
    line = ["apt-get", *_LOCK, "install", "-y", "--no-install-recommends", *packages]
    shell.root_argv(["apt-get", "install", "-y", *packages])
    shell.say(f"installing {names} with apt-get …")
    # A source that is out of reach must not matter when the others have what we need.
    update = shell.as_root(["apt-get", *_LOCK, "update"], timeout=300)
    result = shell.as_root(line, timeout=900)
    if not result.ok:
        told = result if update.ok else update
        raise SetupError(f"apt-get install {names} failed:\n{told.tail()}")
