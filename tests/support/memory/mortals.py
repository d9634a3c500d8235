"""Processes that can die at any call of theirs, and what outlives them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from magma_remote.adapters.memory_queue import MemoryQueue, MemoryServer
from magma_remote.errors import CorruptError, TransferError

if TYPE_CHECKING:
    from collections.abc import Callable

    from magma_remote.adapters.memory_station import MemoryStation
    from magma_remote.adapters.sqlite import SqliteLedger
    from magma_remote.model.entries import RunEntry
    from magma_remote.model.jobs import Job
    from magma_remote.ports import Kept
    from magma_remote.runtime.dispatcher.dispatcher import Dispatcher
    from magma_remote.runtime.worker.worker import Worker


class KilledError(BaseException):
    """What SIGKILL is to a process: no code of its own runs after it."""


@dataclass
class Fuse:
    """Kills its process at the call that brings it to 0; None burns for ever."""

    left: int | None = None

    def burn(self) -> None:
        """One call more."""
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise KilledError


class MortalQueue(MemoryQueue):
    """A queue whose process may be killed before or after any call."""

    def __init__(self, server: MemoryServer, fuse: Fuse) -> None:
        super().__init__(server)
        self._fuse = fuse

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name in {"put", "reserve", "take", "delete", "release", "touch", "peek", "peek_ready", "stats", "bury"}:
            fuse: Fuse = super().__getattribute__("_fuse")
            return _mortal(value, fuse)
        return value


def _mortal(call: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    def mortal(*args: Any, **kwargs: Any) -> Any:
        fuse.burn()
        answer = call(*args, **kwargs)
        fuse.burn()
        return answer

    return mortal


@dataclass
class Process:
    """A process that may be frozen, or about to be killed."""

    queue: MortalQueue
    fuse: Fuse
    frozen: bool = False


@dataclass
class WorkerProcess(Process):
    """A worker."""

    worker: Worker = field(kw_only=True)
    station: MemoryStation = field(kw_only=True)


@dataclass
class DispatcherProcess(Process):
    """A dispatcher."""

    dispatcher: Dispatcher = field(kw_only=True)
    ledger: SqliteLedger = field(kw_only=True)


@dataclass
class Disks:
    """What outlives all processes: workers' results, the dispatcher's TEMP_RESULTS and WORKDIR."""

    kept: dict[str, dict[str, Kept | None]] = field(default_factory=dict)
    fetched: set[str] = field(default_factory=set)
    merged: dict[int, str] = field(default_factory=dict)
    merges: Counter[int] = field(default_factory=Counter)
    unreachable: set[str] = field(default_factory=set)
    corrupt: set[str] = field(default_factory=set)

    def lose(self, job: Job) -> str:
        """A job's result is gone from WORKDIR, and given up; `repeat` is its number."""
        self.merged.pop(job.repeat, None)
        self.merges.pop(job.repeat, None)
        return ""


class MemoryResults:
    """`Results` over Disks."""

    def __init__(self, disks: Disks, fuse: Fuse) -> None:
        self._disks = disks
        self._fuse = fuse

    def fetch(self, run: RunEntry) -> None:
        """See `Results.fetch`."""
        self._fuse.burn()
        if run.worker in self._disks.unreachable or not self._disks.kept.get(run.worker, {}).get(run.run):
            raise TransferError(f"nothing at {run.worker} for {run.run}")
        if run.run in self._disks.corrupt:
            raise CorruptError(f"{run.run} is not as it was")
        self._disks.fetched.add(run.run)
        self._fuse.burn()

    def merge(self, run: RunEntry, job: Job) -> None:
        """See `Results.merge`."""
        self._fuse.burn()
        there = self._disks.merged.get(run.number)
        if there is None and run.run not in self._disks.fetched:
            raise CorruptError(f"{run.run} is neither here nor there")
        if there not in {None, run.run}:
            raise CorruptError(f"{run.number} has a result of {there} already")
        if there is None:
            self._disks.merges[run.number] += 1
        self._disks.merged[run.number] = run.run
        self._disks.fetched.discard(run.run)
        self._fuse.burn()

    def discard(self, run: RunEntry) -> None:
        """See `Results.discard`."""
        self._disks.fetched.discard(run.run)

    def finish(self) -> None:
        """See `Results.finish`."""
        assert not self._disks.fetched


class SlowCrew:
    """A `Crew` that does a task so many looks after it came."""

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._tasks: dict[str, tuple[int, Callable[[], None]]] = {}

    def submit(self, key: str, task: Callable[[], None], *, first: bool = False) -> None:
        """See `Crew.submit`."""
        assert key not in self._tasks
        self._tasks[key] = (self._patience, task)

    def ended(self) -> list[tuple[str, Exception | None]]:
        """See `Crew.ended`."""
        told: list[tuple[str, Exception | None]] = []
        for key, (left, task) in list(self._tasks.items()):
            if left:
                self._tasks[key] = (left - 1, task)
                continue
            del self._tasks[key]
            error: Exception | None = None
            try:
                task()
            except Exception as raised:  # noqa: BLE001 - the protocol hands it over
                error = raised
            told.append((key, error))
        return told

    def wait(self, seconds: float) -> None:
        """See `Crew.wait`: whoever has the clock advances it."""

    def close(self) -> None:
        """See `Crew.close`."""
