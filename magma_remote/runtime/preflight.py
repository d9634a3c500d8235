"""What can be refused is refused before anything is built or changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from magma_remote.errors import UsageError

if TYPE_CHECKING:
    from magma_remote.model.layout import Workdir

CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")


def check_core_pattern(file: Path = CORE_PATTERN) -> None:
    """AFL-family fuzzers end at once where crashes go to a program, and that looks like success.

    The program would also run on a trial's CPU with each crash.
    """
    pattern = file.read_text().strip() if file.exists() else ""
    if pattern.startswith("|"):
        raise UsageError(
            f"kernel.core_pattern pipes crashes into a program ({pattern}): fuzzers of the AFL family refuse to run "
            "so; type `sudo sysctl -w kernel.core_pattern=core` (it lasts until the next boot)"
        )


def check_place(workdir: Workdir, root: Path) -> None:
    """A WORKDIR inside the Magma tree would become part of what images are made from."""
    if workdir.root.is_relative_to(root):
        raise UsageError(f"--workdir {workdir.root} is inside the Magma tree {root}: take a folder outside of it")
