"""What can be refused is refused before anything is built or changed."""

from __future__ import annotations

import os
import pwd
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from magma_remote.errors import UsageError
from magma_remote.model.layout import trial_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from magma_remote.model.jobs import Job
    from magma_remote.model.layout import Workdir
    from magma_remote.ports import BuildReporter

CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")
SYSTEMD = Path("/run/systemd/system")
LINGER = Path("/var/lib/systemd/linger")
_FIRST_USER = 1000  # systemd leaves system users' files alone


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


def check_user(uid: int) -> None:
    """UsageError where images that were built for another user would leave files here that are not ours."""
    us = os.getuid()
    if us not in {0, uid}:
        raise UsageError(
            f"the images of this campaign are made for user id {uid}, this process runs as {us}: run it as that "
            "user (the same id on all machines), or as root"
        )


def check_place(workdir: Workdir, root: Path, *, called: str = "--workdir") -> None:
    """A WORKDIR inside the Magma tree would become part of what images are made from."""
    if workdir.root.is_relative_to(root):
        raise UsageError(f"{called} {workdir.root} is inside the Magma tree {root}: take a folder outside of it")


def check_names(jobs: Iterable[Job]) -> None:
    """Magma's log names join with `_`: two trials that would write to one log are refused."""
    named = defaultdict(list)
    for job in jobs:
        named[trial_name(job)].append(job)
    for name, sharing in named.items():
        if len(sharing) > 1:
            raise UsageError(
                f"{' and '.join(map(str, sharing))} would both write log/{name}_container.log: run them as two "
                "campaigns, each with a --workdir of its own"
            )


def note_logout(reporter: BuildReporter, *, systemd: Path = SYSTEMD, linger: Path = LINGER) -> None:
    """Tell a user whose files in /dev/shm systemd removes at the last logout (logind's RemoveIPC, on by default)."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a number without a name has no session to log out of
        return
    if os.getuid() >= _FIRST_USER and systemd.is_dir() and not (linger / user).exists():
        reporter.note(
            "Before you log out while trials run, type `loginctl enable-linger`: systemd may remove their files in "
            "/dev/shm when your last session ends"
        )
