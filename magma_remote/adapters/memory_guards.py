"""Claims and locks in memory, for tests."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from magma_remote.errors import BusyError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


class MemoryGuards:
    """`Guards` within one process: what is held is in `held`, WORKDIRs as paths and CPUs as numbers."""

    def __init__(self, *held: Path | int) -> None:
        self.held: set[Path | int] = set(held)
        self.builds = 0

    @contextmanager
    def cpu_claims(self, cpus: Iterable[int], *, owner: str) -> Iterator[None]:
        """See `Guards.cpu_claims`."""
        wanted = set(cpus)
        if taken := wanted & self.held:
            raise BusyError(f"CPUs {taken} are not free for {owner}")
        with self._holding(wanted):
            yield

    @contextmanager
    def build_lock(self, owner: str, **_: object) -> Iterator[None]:  # noqa: ARG002 - the protocol's signature
        """See `Guards.build_lock`: nobody is ever waited for; `builds` counts."""
        self.builds += 1
        yield

    @contextmanager
    def workdir_lock(self, path: Path, *, task: str = "") -> Iterator[None]:  # noqa: ARG002 - the protocol's signature
        """See `Guards.workdir_lock`."""
        if path in self.held:
            raise StorageError(f"{path}: another process is running there")
        with self._holding({path}):
            yield

    def claimed(self, cpus: Iterable[int]) -> frozenset[int]:
        """See `Guards.claimed`; here all are others'."""
        return frozenset(cpu for cpu in cpus if cpu in self.held)

    def is_held(self, path: Path) -> bool:
        """See `Guards.is_held`."""
        return path in self.held

    @contextmanager
    def _holding(self, things: set[Path] | set[int]) -> Iterator[None]:
        self.held |= things
        try:
            yield
        finally:
            self.held -= things
