"""The results that a worker keeps until the dispatcher does not need them any more."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from magma_remote.ports import Assignment
from magma_remote.runtime.station.beside import beside

if TYPE_CHECKING:
    from magma_remote.ports import Kept
    from magma_remote.runtime.station.folders import Folders


class Keeping:
    """All that have a mark, from earlier starts too. With `keep` their folders stay for good. Thread-safe."""

    def __init__(self, folders: Folders, *, keep: bool) -> None:
        self._folders = folders
        self._keep = keep
        self._lock = threading.Lock()
        self._kept = folders.kept()
        self._unneeded = SimpleQueue[Assignment]()
        beside("remove", self._remove_unneeded)

    def add(self, kept: Kept) -> None:
        """One more, which has its mark."""
        with self._lock:
            self._kept[kept.assignment.run] = kept

    def all(self) -> tuple[Kept, ...]:
        """All of now."""
        with self._lock:
            return tuple(self._kept.values())

    def forget(self, run: str) -> None:
        """It is not needed any more: its folder goes in another thread."""
        with self._lock:
            kept = self._kept.pop(run, None)
        if kept is None:
            return
        self._folders.drop(kept, keep=self._keep)
        if not self._keep:
            self._unneeded.put(kept.assignment)

    def _remove_unneeded(self) -> None:
        """Body of the one thread that removes folders, large as they may be; what is left goes at the next start."""
        while True:
            found = self._unneeded.get()
            self._folders.remove(found.config_id, found.run)
