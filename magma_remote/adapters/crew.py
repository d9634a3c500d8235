"""Slow things beside their owner, in threads, and what became of each task."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class _Ends:
    """What became of tasks."""

    def __init__(self) -> None:
        self._ended: SimpleQueue[tuple[str, Exception | None]] = SimpleQueue()
        self._news = Event()

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

    def _do(self, key: str, task: Callable[[], None]) -> None:
        error: Exception | None = None
        try:
            task()
        except Exception as raised:  # noqa: BLE001 - handed to the owner, who knows what it means
            error = raised
        self._ended.put((key, error))
        self._news.set()


class ThreadCrew(_Ends):
    """A `Crew` of so many threads."""

    def __init__(self, threads: int) -> None:
        super().__init__()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="crew")
        self._first: deque[tuple[str, Callable[[], None]]] = deque()
        self._others: deque[tuple[str, Callable[[], None]]] = deque()

    def submit(self, key: str, task: Callable[[], None], *, first: bool = False) -> None:
        """See `Crew.submit`."""
        (self._first if first else self._others).append((key, task))
        self._pool.submit(self._do_next)

    def close(self) -> None:
        """See `Crew.close`."""
        self._pool.shutdown(cancel_futures=True)

    def _do_next(self) -> None:
        try:
            key, task = self._first.popleft()
        except IndexError:  # each call was submitted with a task of its own: there is one
            key, task = self._others.popleft()
        self._do(key, task)


class LooseCrew(_Ends):
    """A `Crew` that no process waits for at its end: each task has a thread of its own, which goes with the process."""

    def submit(self, key: str, task: Callable[[], None], *, first: bool = False) -> None:  # noqa: ARG002 - all at once
        """See `Crew.submit`."""
        try:
            Thread(target=self._do, args=(key, task), name=key, daemon=True).start()
        except RuntimeError as error:  # no further thread
            self._ended.put((key, error))

    def close(self) -> None:
        """See `Crew.close`: what runs is left to itself."""
