"""Whether another trial can start now: room for results, and an engine that answers. Asked often, hence cheap."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from magma_remote.errors import EngineError
from magma_remote.model.units import human_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROOM = 256 << 20
"""Bytes of disk for each trial that runs or starts: a ball.tar of hours has 10 to 200 MB, and while it is made stands
beside nothing of its own; below this, days of fuzzing are likely to end in an archive that does not fit."""

_FILES = 1000  # a trial needs a dozen, with NO_ARCHIVE thousands
_LOOK_SECONDS = 5.0
_SILENT_SECONDS = 10.0


class Health:
    """For one WORKDIRS; the engine is asked in a thread of its own, for it may take a minute not to answer."""

    def __init__(self, workdirs: Path, check: Callable[[], object]) -> None:
        self._workdirs = workdirs
        self._check = check
        self._lock = threading.Lock()
        self._said = ""
        self._asking_since: float | None = None
        self._asked_at = float("-inf")

    def obstacle(self, running: int) -> str:
        """Why no trial should start beside `running` others, or an empty text."""
        return self._room((running + 1) * ROOM) or self._engine()

    def doubt(self, why: str) -> None:
        """A run met an engine in trouble: that stands until the engine has answered again."""
        with self._lock:
            self._said = self._said or why
            self._asked_at = float("-inf")

    def _room(self, needed: int) -> str:
        try:
            room = os.statvfs(self._workdirs)
        except OSError as error:
            return f"WORKDIRS {self._workdirs} cannot be used: {error.strerror}"
        if room.f_flag & os.ST_RDONLY:
            return (
                f"the disk of WORKDIRS {self._workdirs} is read-only: look at what the kernel says of it, then mend it"
            )
        if room.f_files and room.f_favail < _FILES:
            return f"the disk of WORKDIRS {self._workdirs} can take {room.f_favail} more files: remove some"
        free = room.f_bavail * room.f_frsize
        if free >= needed:
            return ""
        return (
            f"the disk of WORKDIRS {self._workdirs} has {human_bytes(free)} free, another trial needs "
            f"{human_bytes(needed)}: make room"
        )

    def _engine(self) -> str:
        now = time.monotonic()
        with self._lock:
            since = self._asking_since
            if since is None and now - self._asked_at >= _LOOK_SECONDS:
                self._asking_since = now
                threading.Thread(target=self._ask, name="engine", daemon=True).start()
            if since is not None and now - since > _SILENT_SECONDS:
                return f"Docker Engine has not answered for {now - since:.0f} s"
            return self._said

    def _ask(self) -> None:
        said = ""
        try:
            self._check()
        except EngineError as error:
            said = str(error)
        finally:
            with self._lock:
                self._said, self._asking_since, self._asked_at = said, None, time.monotonic()
