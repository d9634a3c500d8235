"""A trial's files become its entry in `ar/`: made in `staging/`, entered by one rename, never half-written."""

from __future__ import annotations

import os
import shutil
import tarfile
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import TYPE_CHECKING

from magma_remote.errors import StorageError
from magma_remote.model.layout import TARBALL, trial_key
from magma_remote.runtime.files import discard_tree, sync_folder

if TYPE_CHECKING:
    from pathlib import Path

    from magma_remote.model.jobs import Job
    from magma_remote.model.layout import Workdir


def publish(shared: Path, workdir: Workdir, job: Job, *, plain: bool) -> None:
    """Archive SHARED to `ar/FUZZER/TARGET/PROGRAM/RUN`, as `ball.tar` or, with `plain`, as it is.

    StorageError leaves no entry; SHARED stays as it was.
    """
    staged = workdir.staging / trial_key(job)
    entry = workdir.entry(job)
    try:
        discard_tree(staged)
        staged.mkdir(parents=True)
        if plain:
            _copy(shared, staged)
        else:
            _tar(shared, staged / TARBALL)
        entry.parent.mkdir(parents=True, exist_ok=True)
        staged.rename(entry)
        sync_folder(entry.parent)
    except OSError as error:
        discard_tree(staged)
        raise StorageError(f"{entry} could not be written: {error.strerror or error}") from error


def _copy(shared: Path, staged: Path) -> None:
    """All that has content: to copy a pipe would wait for somebody who writes into it, and a socket cannot be copied.

    It is no recursion, for folders in folders may be deeper than Python recurses; nor is `_tar`.
    """
    folders = ["."]
    for folder in folders:
        for path in (shared / folder).iterdir():
            name, mode = f"{folder}/{path.name}", path.lstat().st_mode
            if S_ISDIR(mode):
                (staged / name).mkdir()
                folders.append(name)
            elif S_ISREG(mode) or S_ISLNK(mode):
                shutil.copy2(path, staged / name, follow_symlinks=False)
    for folder in reversed(folders):  # a closed one takes nothing more
        shutil.copystat(shared / folder, staged / folder)


def _tar(shared: Path, tarball: Path) -> None:
    """`tar -C SHARED .`: names start with `./`, in a fixed order."""
    with tarball.open("wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
            waiting = ["."]
            while waiting:
                name = waiting.pop()
                path = shared / name
                tar.add(path, arcname=name, recursive=False, filter=lambda member: _readable(shared, member))
                if path.is_dir() and not path.is_symlink():
                    waiting += [f"{name}/{inner.name}" for inner in sorted(path.iterdir(), reverse=True)]
        file.flush()
        os.fsync(file.fileno())


def _readable(shared: Path, member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Let our own user read a file or folder that its fuzzer closed; the archive keeps the mode that it had."""
    wanted = 0o700 if member.isdir() else 0o400
    if (member.isdir() or member.isreg()) and member.mode & wanted != wanted and member.uid == os.getuid():
        (shared / member.name).chmod(member.mode | wanted)
    return member
