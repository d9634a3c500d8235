"""Slow things beside their owner: a few threads, and what became of each task."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class ThreadCrew:
    """A `Crew` of so many threads."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="crew")
        self._ended: SimpleQueue[tuple[str, Exception | None]] = SimpleQueue()

    def submit(self, key: str, task: Callable[[], None]) -> None:
        """See `Crew.submit`."""
        self._pool.submit(self._do, key, task)

    def ended(self) -> list[tuple[str, Exception | None]]:
        """See `Crew.ended`."""
        found = []
        while True:
            try:
                found.append(self._ended.get_nowait())
            except Empty:
                return found

    def close(self) -> None:
        """See `Crew.close`."""
        self._pool.shutdown(cancel_futures=True)

    def _do(self, key: str, task: Callable[[], None]) -> None:
        error: Exception | None = None
        try:
            task()
        except Exception as raised:  # noqa: BLE001 - handed to the owner, who knows what it means
            error = raised
        self._ended.put((key, error))
