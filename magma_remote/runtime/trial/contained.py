"""At most one live container of a trial, removed on every way out, which another thread may end."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from magma_remote.errors import EngineError, StoppedError
from magma_remote.model.outcome import Kill
from magma_remote.runtime.patience import patiently

if TYPE_CHECKING:
    from collections.abc import Iterator

    from magma_remote.model.container import ContainerSpec
    from magma_remote.ports import Runner

_STOP_SECONDS = 5.0  # someone waits for us to go


class Contained:
    """`killed` says why we ended a container ourselves; after a stop no further one starts.

    `problems` names a container that could not be removed: that costs no result, and the next start removes it.
    """

    def __init__(self, runner: Runner) -> None:
        self.killed: Kill | None = None
        self.problems: list[str] = []
        self._runner = runner
        self._container: str | None = None
        self._lock = threading.Lock()

    @property
    def stopped(self) -> bool:
        """Whether someone wished it to end now."""
        return self.killed is Kill.STOPPED

    @contextmanager
    def container(self, spec: ContainerSpec) -> Iterator[str]:
        """Create and start a container; its id. StoppedError where `kill(STOPPED)` came first."""
        with self._lock:
            if self.stopped:
                raise StoppedError("stopped before its container was started")
            self._container = container = self._runner.create(spec)
        try:
            self._runner.start(container)
            if self.stopped:
                self._runner.kill(container)
            yield container
        finally:
            with self._lock:
                self._container = None
            self._remove(container)

    def wait(self, container: str) -> None:
        """Return when it has ended; an engine that is gone for a moment, to be restarted, does not end the wait."""
        patiently(lambda: self._runner.wait(container))

    def kill(self, why: Kill) -> None:
        """End the container; the first reason stays, but for a stop, which stands above all."""
        with self._lock:
            self.killed = why if why is Kill.STOPPED else self.killed or why
            container = self._container
        if container:
            with suppress(EngineError):
                self._runner.kill(container)

    def _remove(self, container: str) -> None:
        try:
            patiently(lambda: self._runner.remove(container), seconds=_STOP_SECONDS if self.stopped else None)
        except EngineError as error:
            self.problems.append(f"container {container[:12]} is left to the next start: {error}")
