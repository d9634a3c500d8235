"""Who may use which CPU sets right now."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from threading import Condition, Lock
from typing import TYPE_CHECKING

from magma_remote.errors import StoppedError
from magma_remote.model.schedule import choose_sets, sets_needed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from threading import Event
    from types import TracebackType

    from magma_remote.model.cpus import CpuSet

_STOP_LOOK = 0.1  # seconds between looks at a stop event; a lease that comes free is granted at once


class Lease:
    """CPUs that are one holder's own until `release`; a context manager that gives the CPUs."""

    def __init__(self, leases: CpuLeases, taken: tuple[int, ...], cpus: CpuSet) -> None:
        self.cpus = cpus
        self._leases = leases
        self._taken = taken

    def release(self) -> None:
        """Give the CPUs back; nothing the second time."""
        self._leases._give_back(self)  # noqa: SLF001 - the two classes are one mechanism

    def __enter__(self) -> CpuSet:
        return self.cpus

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class CpuLeases:
    """Thread-safe leases of disjoint CPU sets.

    A lease takes as many sets as its demand needs in one step, neighbours where there are any: nobody
    waits holding half. Waiters are served strictly in the order in which they came, so narrow demands
    never starve a wide one.
    """

    def __init__(self, sets: Sequence[CpuSet]) -> None:
        self._sets = tuple(sets)
        self._sizes = tuple(len(cpus) for cpus in self._sets)
        self._free = set(range(len(self._sets)))
        self._changed = Condition(Lock())
        self._queue: deque[object] = deque()

    @property
    def free(self) -> tuple[CpuSet, ...]:
        """The sets that nobody holds at this moment."""
        with self._changed:
            return tuple(self._sets[index] for index in sorted(self._free))

    @property
    def waiting(self) -> int:
        """How many wait for a lease at this moment."""
        with self._changed:
            return len(self._queue)

    @contextmanager
    def lease(self, demand: int, *, stop: Event | None = None) -> Iterator[CpuSet]:
        """Wait for at least `demand` CPUs, hold them for the block, give them back on every way out.

        CpuError at once where all sets together are too few; StoppedError once `stop` is set while this
        still waits.
        """
        sets_needed(self._sizes, demand)
        with self._wait(demand, stop) as cpus:
            yield cpus

    def try_lease(self, demand: int) -> Lease | None:
        """Take a lease now, or None where it would have to wait; CpuError as in `lease`."""
        sets_needed(self._sizes, demand)
        with self._changed:
            return None if self._queue else self._grant(demand)

    def _wait(self, demand: int, stop: Event | None) -> Lease:
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            try:
                while True:
                    if stop is not None and stop.is_set():
                        raise StoppedError(f"stopped while waiting for {demand} free CPUs")
                    if self._queue[0] is ticket and (lease := self._grant(demand)):
                        return lease
                    self._changed.wait(None if stop is None else _STOP_LOOK)
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def _grant(self, demand: int) -> Lease | None:
        taken = choose_sets(self._sizes, sorted(self._free), demand)
        if not taken:
            return None
        self._free -= set(taken)
        return Lease(self, taken, tuple(sorted(cpu for index in taken for cpu in self._sets[index])))

    def _give_back(self, lease: Lease) -> None:
        with self._changed:
            self._free.update(lease._taken)  # noqa: SLF001 - the two classes are one mechanism
            lease._taken = ()  # noqa: SLF001 - as above
            self._changed.notify_all()
