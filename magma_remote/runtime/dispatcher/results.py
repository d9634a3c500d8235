"""From a worker's folder to the merged WORKDIR.

A result is `TEMP_RESULTS/FOLDER.part` while it comes, `TEMP_RESULTS/FOLDER` once it is verified, and
`WORKDIR/merging/FOLDER` while its files enter WORKDIR by renames: whatever stands under one of the last two names is
a whole result that is not merged, or the rest of one. `FOLDER.gone` is only to be removed.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from magma_remote.errors import CorruptError, StorageError, TransferError
from magma_remote.runtime.files import remove_tree, sync_file_system, sync_folder
from magma_remote.runtime.storage import is_full, storage_errors
from magma_remote.runtime.workdir.entering import Entering, check_contents, is_entered
from magma_remote.runtime.workdir.manifest import load, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from magma_remote.model.entries import RunEntry
    from magma_remote.model.jobs import Job
    from magma_remote.model.layout import Workdir
    from magma_remote.model.messages import Place
    from magma_remote.ports import Transfer

MERGING = "merging"
PART = ".part"
GONE = ".gone"
_AGAIN = "mend it, and start the dispatcher again: it goes on from here"


@dataclass(frozen=True, kw_only=True)
class MergedResults:
    """A `ports.Results`; thread-safe for different runs.

    `copy` copies a folder with a manifest to another file system, or goes on with that (OSError).
    """

    temp: Path
    workdir: Workdir
    transfer: Transfer
    copy: Callable[[Path, Path], None]

    @property
    def merging(self) -> Path:
        """Results on their way into WORKDIR, on its file system."""
        return self.workdir.root / MERGING

    def fetch(self, run: RunEntry) -> None:
        """As the port says."""
        place, name = _place(run)
        if (self.temp / name).exists():
            return
        part = self.temp / f"{name}{PART}"
        try:
            with storage_errors("look at the disk"):
                self.transfer.fetch(place, part)
                check_contents(verify(part, run.manifest))
                sync_file_system(part)
                part.rename(self.temp / name)
                sync_folder(self.temp)
        except TransferError as error:
            if is_full(self.temp):
                raise StorageError(f"{self.temp} is full: make room, fetching goes on then ({error})") from error
            raise
        except CorruptError:
            remove_tree(part)  # what was altered on its way is not taken for the beginning of the next try's
            raise

    def merge(self, run: RunEntry, job: Job) -> None:
        """As the port says."""
        _, name = _place(run)
        near, far = self.merging / name, self.temp / name
        with storage_errors(_AGAIN):
            if near.exists() or not is_entered(self.workdir, run, job):
                self._approach(far, near, run)
                manifest = load(near, run.manifest)
                Entering(folder=near, workdir=self.workdir, run=run, job=job, manifest=manifest).all()
                sync_file_system(self.workdir.root)
            _retire(near)
            _retire(far)

    def _approach(self, far: Path, near: Path, run: RunEntry) -> None:
        """Have the result on WORKDIR's file system; CorruptError where there is none left."""
        if near.exists():
            return
        if not far.exists():
            raise CorruptError(f"{far} is gone, and {self.workdir.root} does not hold the whole of it")
        near.parent.mkdir(parents=True, exist_ok=True)
        try:
            far.rename(near)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._bring_near(far, near, run)
        sync_folder(near.parent)

    def _bring_near(self, far: Path, near: Path, run: RunEntry) -> None:
        part = near.with_name(f"{near.name}{PART}")
        self.copy(far, part)
        try:
            verify(part, run.manifest)
        except CorruptError:
            remove_tree(part)
            raise
        sync_file_system(part)
        part.rename(near)

    def discard(self, run: RunEntry) -> None:
        """As the port says."""
        _, name = _place(run)
        with storage_errors(_AGAIN):
            for folder in (self.temp, self.merging):
                remove_tree(folder / f"{name}{PART}")
                _retire(folder / name)

    def finish(self) -> None:
        """As the port says."""
        with storage_errors(_AGAIN):
            there = [path for folder in (self.temp, self.merging) for path in _folders(folder)]
            kept = sorted(path for path in there if path.suffix not in {PART, GONE})
            if kept:
                raise StorageError(f"{kept[0]} is not merged, and with it {len(kept) - 1} more: {self.temp} is kept")
            for folder in (self.temp, self.merging):
                remove_tree(folder)


def _place(run: RunEntry) -> tuple[Place, str]:
    """Where a run's folder is and its name everywhere; CorruptError where a worker's word cannot be one."""
    name = PurePosixPath(run.place.folder).name if run.place else ""
    if not run.place or not name.endswith(f"_{run.run}") or name.startswith(".") or "\0" in name:
        raise CorruptError(f"run {run.run} cannot be in a folder named {name!r}")
    return run.place, name


def _folders(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if path.is_dir())


def _retire(folder: Path) -> None:
    """Remove a folder whose name means something: not half of it stays under that name."""
    gone = folder.with_name(f"{folder.name}{GONE}")
    remove_tree(gone)
    if folder.exists():
        folder.rename(gone)
        remove_tree(gone)
