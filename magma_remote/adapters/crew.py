"""Slow things beside their owner: a few threads, and what became of each task."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from threading import Event
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class ThreadCrew:
    """A `Crew` of so many threads."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="crew")
        self._first: deque[tuple[str, Callable[[], None]]] = deque()
        self._others: deque[tuple[str, Callable[[], None]]] = deque()
        self._ended: SimpleQueue[tuple[str, Exception | None]] = SimpleQueue()
        self._news = Event()

    def submit(self, key: str, task: Callable[[], None], *, first: bool = False) -> None:
        """See `Crew.submit`."""
        (self._first if first else self._others).append((key, task))
        self._pool.submit(self._do_next)

    def ended(self) -> list[tuple[str, Exception | None]]:
        """See `Crew.ended`."""
        self._news.clear()
        found = []
        while True:
            try:
                found.append(self._ended.get_nowait())
            except Empty:
                return found

    def wait(self, seconds: float) -> None:
        """See `Crew.wait`."""
        self._news.wait(seconds)

    def close(self) -> None:
        """See `Crew.close`."""
        self._pool.shutdown(cancel_futures=True)

    def _do_next(self) -> None:
        try:
            key, task = self._first.popleft()
        except IndexError:  # each call was submitted with a task of its own: there is one
            key, task = self._others.popleft()
        error: Exception | None = None
        try:
            task()
        except Exception as raised:  # noqa: BLE001 - handed to the owner, who knows what it means
            error = raised
        self._ended.put((key, error))
        self._news.set()
