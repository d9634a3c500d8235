"""Where SHARED of a running trial lives: on tmpfs, or on disk with CACHE_ON_DISK; never a mount, never a password.

`ROOT/TRIAL/shared` is what the container sees. `ROOT/TRIAL/trial.json` stands beside it only when the trial is
complete and not yet archived: a later start archives it. `ROOT/owner` names the WORKDIR that a cache belongs to.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from magma_remote.errors import StorageError
from magma_remote.model.layout import trial_name
from magma_remote.model.units import human_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from magma_remote.model.campaign import Campaign
    from magma_remote.model.jobs import Job
    from magma_remote.model.layout import Workdir

SHM = Path("/dev/shm")  # noqa: S108 - the one tmpfs that every Linux has and every user may write
COMPLETE = "trial.json"
LEAST_ROOM = 32 << 20
_FULL = 64 << 10
_ON_DISK = "or set CACHE_ON_DISK: true in the campaign file"


class Cache:
    """The cache of one WORKDIR."""

    def __init__(self, root: Path, workdir: Path) -> None:
        self.root = root
        self._workdir = workdir

    @classmethod
    def of(cls, campaign: Campaign, workdir: Workdir, *, shm: Path = SHM) -> Cache:
        """On disk under the WORKDIR, or in memory under `shm` in a folder of this user's."""
        if campaign.cache_on_disk:
            return cls(workdir.disk_cache, workdir.root)
        name = hashlib.sha256(str(workdir.root).encode()).hexdigest()[:12]
        return cls(_own(shm) / name, workdir.root)

    def open(self) -> None:
        """Make the folder and say whose it is."""
        self.root.parent.mkdir(mode=0o711, exist_ok=True)
        self.root.mkdir(mode=0o711, exist_ok=True)
        (self.root / "owner").write_text(str(self._workdir))

    def close(self) -> None:
        """Remove the folder unless a complete trial waits in it to be archived."""
        if not any(self.complete()):
            shutil.rmtree(self.root, ignore_errors=True)

    def trial(self, job: Job) -> Path:
        """The folder of one trial, which holds `shared`."""
        return self.root / trial_name(job)

    def leftovers(self) -> Iterator[Path]:
        """Folders of trials that an earlier run left."""
        yield from (path for path in sorted(self.root.glob("*/")) if path.is_dir())

    def complete(self) -> Iterator[Path]:
        """Those of them that are complete and only wait to be archived."""
        yield from (path for path in self.leftovers() if (path / COMPLETE).is_file())


def make_shared(trial: Path) -> Path:
    """An empty SHARED that the container's user may write, whoever that is."""
    shutil.rmtree(trial, ignore_errors=True)
    shared = trial / "shared"
    shared.mkdir(parents=True)
    shared.chmod(0o777)
    return shared


def is_full(path: Path) -> bool:
    """Whether the file system has no room for another canary dump."""
    room = os.statvfs(path)
    return room.f_bavail * room.f_frsize < _FULL


def check_room(cache: Cache, campaign: Campaign, slots: int, *, mounts: Path = Path("/proc/mounts")) -> int:
    """Free bytes for SHARED; StorageError where they cannot do for this many trials at once."""
    base = _existing(cache.root)
    if not os.access(base, os.W_OK | os.X_OK):
        raise StorageError(f"{base} cannot be written: make it writable, {_ON_DISK}")
    room = os.statvfs(base)
    free = room.f_bavail * room.f_frsize
    if not campaign.cache_on_disk:
        _check_tmpfs(base, mounts)
    asked = campaign.tmpfs_size
    if asked and not campaign.cache_on_disk and free < asked.bytes:
        raise StorageError(
            f"TMPFS_SIZE asks for {asked.text}, {base} has {human_bytes(free)} free: lower TMPFS_SIZE, enlarge it "
            f"(`sudo mount -o remount,size={asked.text} {base}`), {_ON_DISK}"
        )
    if free < slots * LEAST_ROOM:
        raise StorageError(
            f"{base} has {human_bytes(free)} free, {slots} trials at once need at least "
            f"{human_bytes(slots * LEAST_ROOM)}: free some, {_ON_DISK}"
        )
    return free


def reap_others(is_held: Callable[[Path], bool], mine: Cache, *, shm: Path = SHM) -> int:
    """Remove caches whose run is dead; how many. A complete trial in one waits for its own WORKDIR's next run."""
    count = 0
    for root in sorted(path for path in _own(shm).glob("*/") if path != mine.root):
        owner = root / "owner"
        workdir = Path(owner.read_text()) if owner.is_file() else None
        other = Cache(root, workdir or root)
        if workdir is None or not (is_held(workdir) or any(other.complete())):
            shutil.rmtree(root, ignore_errors=True)
            count += 1
    return count


def _own(shm: Path) -> Path:
    return shm / f"magma-remote-{os.getuid()}"


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


def _check_tmpfs(base: Path, mounts: Path) -> None:
    rows = [line.split() for line in mounts.read_text().splitlines()]
    points = {Path(row[1]): row[2] for row in rows if len(row) > 2}  # noqa: PLR2004 - device, point, type
    kind = next((points[at] for at in (base, *base.parents) if at in points), "unknown")
    if kind not in {"tmpfs", "ramfs"}:
        raise StorageError(f"{base} is on {kind}, not on tmpfs: mount a tmpfs there, {_ON_DISK}")
