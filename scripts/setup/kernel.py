"""`kernel.core_pattern`: AFL and its heirs end at once where crashes are piped into a program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scripts.setup.shell import Result, SetupError

if TYPE_CHECKING:
    from scripts.setup.shell import Shell

CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")
_SETTING = ("sysctl", "-w", "kernel.core_pattern=core")


def ensure(shell: Shell, path: Path = CORE_PATTERN) -> str:
    """Set it to `core` where it is a pipe, until the next boot.

    Where that is not allowed, the line to type is said and setup goes on: most tests do not need it, and
    `quickrun` looks again before its first campaign.
    """
    before = path.read_text(encoding="utf-8").strip()
    if not before.startswith("|"):
        return f"core_pattern is no pipe ({before})"
    advice = f"Type on the host:\n    sudo {' '.join(_SETTING)}"
    try:
        result = _set(shell, path)
    except SetupError:
        return f"core_pattern is a pipe, and AFL's family ends at once under it. {advice}"
    if not result.ok:
        return f"core_pattern is a pipe and could not be changed:\n{result.tail()}\n{advice}"
    return f"core_pattern is now 'core', until the next boot (it was: {before})"


def _set(shell: Shell, path: Path) -> Result:
    if not shell.is_root():
        return shell.as_root(_SETTING, timeout=20)
    try:  # a bare machine has no sysctl
        path.write_text("core", encoding="ascii")
    except OSError as error:
        return Result(code=1, output=str(error))
    return Result(code=0, output="")
