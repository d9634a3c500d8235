"""Threads that nobody waits for, and the news that they bring."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

log = logging.getLogger(__name__)


class News(Generic[T]):
    """What many tell one, who may wait for it."""

    def __init__(self) -> None:
        self._items: list[T] = []
        self._changed = threading.Condition()

    def put(self, item: T) -> None:
        """Tell."""
        with self._changed:
            self._items.append(item)
            self._changed.notify_all()

    def take(self) -> list[T]:
        """All that was told since the last time."""
        with self._changed:
            items, self._items = self._items, []
            return items

    def wait(self, seconds: float) -> None:
        """Return when there is something to take, or after so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._items, seconds)


def beside(name: str, act: Callable[[], object]) -> threading.Thread:
    """Do it in a thread that does not keep the process; what it raises is a defect, which is logged.

    RuntimeError where there can be no further thread.
    """

    def work() -> None:
        try:
            act()
        except Exception:
            log.exception("%s failed", name)

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread
