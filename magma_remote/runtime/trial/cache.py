"""Where SHARED of a running trial lives: on tmpfs, or on disk with CACHE_ON_DISK; never a mount, never a password.

`ROOT/TRIAL/shared` is what the container sees. `trial.json` stands beside it only when the trial
is complete and not yet archived: a later start archives it. `ROOT/owner` names the WORKDIR that a cache belongs to.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from magma_remote.errors import StorageError
from magma_remote.model.layout import trial_key
from magma_remote.model.units import human_bytes
from magma_remote.runtime.files import discard_tree
from magma_remote.runtime.storage import free_bytes, is_full

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from magma_remote.model.campaign import Campaign
    from magma_remote.model.jobs import Job
    from magma_remote.model.layout import Workdir

SHM = Path("/dev/shm")  # noqa: S108 - the one tmpfs that every Linux has and every user may write
COMPLETE = "trial.json"
LEAST_ROOM = 32 << 20
_ON_DISK = "or set CACHE_ON_DISK: true in the campaign file"


class Cache:
    """The cache of one WORKDIR."""

    def __init__(self, root: Path, workdir: Path, *, on_disk: bool = False) -> None:
        self.root = root
        self._workdir = workdir
        self._on_disk = on_disk

    @classmethod
    def of(cls, campaign: Campaign, workdir: Workdir) -> Cache:
        """Where the campaign wants it."""
        return cls.on_disk(workdir) if campaign.cache_on_disk else cls.in_memory(workdir)

    @classmethod
    def on_disk(cls, workdir: Workdir) -> Cache:
        """Under the WORKDIR."""
        return cls(workdir.disk_cache, workdir.root, on_disk=True)

    @classmethod
    def in_memory(cls, workdir: Workdir) -> Cache:
        """Under /dev/shm in a folder of this user's."""
        name = hashlib.sha256(os.fsencode(workdir.root)).hexdigest()[:12]
        return cls(_own() / name, workdir.root)

    def open(self) -> None:
        """Make the folder, which says whose it is from its first moment on."""
        if not self._on_disk:  # on disk it is in the WORKDIR, whoever owns that
            _check_own(self.root.parent)
        if (self.root / "owner").is_file():
            return
        discard_tree(self.root)
        new = self.root.with_name(f".{self.root.name}.new")
        discard_tree(new)
        new.mkdir(mode=0o711)
        (new / "owner").write_bytes(os.fsencode(self._workdir))
        new.rename(self.root)

    def close(self) -> None:
        """Remove the folder unless a complete trial waits in it to be archived."""
        if not any(self.complete()):
            discard_tree(self.root)

    def trial(self, job: Job, run: str = "") -> Path:
        """The folder of one trial, which holds `shared`; named by `run` where there is one."""
        return self.root / (run or trial_key(job))

    def leftovers(self) -> Iterator[Path]:
        """Folders of trials that an earlier run left."""
        yield from (path for path in sorted(self.root.glob("*/")) if path.is_dir())

    def complete(self) -> Iterator[Path]:
        """Those of them that are complete and only wait to be archived."""
        yield from (path for path in self.leftovers() if (path / COMPLETE).is_file())


class Shared:
    """The cache of one trial: `path` is its SHARED, `complete` the mark of a trial that only waits for its archive."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "shared"
        self.complete = folder / COMPLETE
        self.was_full = False
        self.lost = ""
        self._folder = folder
        self._made: os.stat_result | None = None

    def make(self) -> None:
        """Make it empty, writable by the container's user, whoever that is."""
        self.remove()
        self.path.mkdir(parents=True)
        self.path.chmod(0o777)
        self._made = self.path.stat()

    def look(self) -> None:
        """Note whether there is room for another canary dump, and whether the folder is still the one that was made.

        systemd removes a user's files in /dev/shm when the user's last session ends (RemoveIPC).
        """
        try:
            now = self.path.stat()
            self.was_full = self.was_full or is_full(self.path)
        except OSError:
            now = None
        if self._made and not (now and os.path.samestat(now, self._made)):
            self.lost = f"{self.path} was removed while the trial ran"

    def remove(self) -> None:
        """Remove it with all that is in it."""
        discard_tree(self._folder)


def check_room(cache: Cache, campaign: Campaign, slots: int, *, mounts: Path = Path("/proc/mounts")) -> int:
    """Free bytes for SHARED; StorageError where they cannot do for this many trials at once."""
    base = _existing(cache.root)
    if not os.access(base, os.W_OK | os.X_OK):
        raise StorageError(f"{base} cannot be written: make it writable, {_ON_DISK}")
    free = free_bytes(base)
    mount = base if campaign.cache_on_disk else _tmpfs(base, mounts)
    asked = campaign.tmpfs_size
    if asked and not campaign.cache_on_disk and free < asked.bytes:
        raise StorageError(
            f"TMPFS_SIZE asks for {asked.text}, {base} has {human_bytes(free)} free: lower TMPFS_SIZE, enlarge it "
            f"(`sudo mount -o remount,size={asked.text} {mount}`), {_ON_DISK}"
        )
    if free < slots * LEAST_ROOM:
        raise StorageError(
            f"{base} has {human_bytes(free)} free, {slots} trials at once need at least "
            f"{human_bytes(slots * LEAST_ROOM)}: free some, {_ON_DISK}"
        )
    return free


def reap_others(is_held: Callable[[Path], bool], mine: Cache) -> list[str]:
    """Remove caches whose run is dead; what there is to say of it.

    A complete trial in one waits for its own WORKDIR's next run, even where that folder is gone.
    """
    said = []
    for root in sorted(path for path in _own().glob("[!.]*/") if path != mine.root):
        owner = root / "owner"
        workdir = Path(os.fsdecode(owner.read_bytes())) if owner.is_file() else None
        if workdir is None or is_held(workdir):
            continue
        kept = list(Cache(root, workdir).complete())
        if kept and not workdir.exists():
            said.append(
                f"{root} holds {len(kept)} complete trials of {workdir}, which is gone: remove it, or archive it"
            )
        elif not kept:
            discard_tree(root)
            said.append(f"Removed the cache of a run in {workdir} that died")
    return said


def _check_own(folder: Path) -> None:
    """Of two users who may both write here, the one whose name the folder has owns it: nobody plants a link."""
    folder.mkdir(mode=0o711, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise StorageError(f"{folder} is not a folder of yours: remove it, {_ON_DISK}")


def _own() -> Path:
    return SHM / f"magma-remote-{os.getuid()}"


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


def _tmpfs(base: Path, mounts: Path) -> Path:
    """Where the tmpfs that holds `base` is mounted; StorageError where none does."""
    rows = [line.split() for line in mounts.read_text().splitlines()]
    points = {Path(row[1]): row[2] for row in rows if len(row) > 2}  # noqa: PLR2004 - device, point, type
    here = base.resolve()
    point = next((at for at in (here, *here.parents) if at in points), here)
    if points.get(point) not in {"tmpfs", "ramfs"}:
        raise StorageError(
            f"{base} is on {points.get(point, 'an unknown file system')}, not on tmpfs: mount one, {_ON_DISK}"
        )
    return point
