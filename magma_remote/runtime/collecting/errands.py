"""Slow things that a command waits for, each of which may lead to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magma_remote.errors import MagmaRemoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from magma_remote.ports import Crew

_LOOK_SECONDS = 0.2  # how soon a wish to stop is heard


class Errands:
    """What a crew does for one thread; `until` says that no more ends are waited for."""

    def __init__(self, crew: Crew, until: Callable[[], bool]) -> None:
        self._crew = crew
        self._until = until
        self._left: set[str] = set()

    def add(self, key: str, task: Callable[[], None], *, first: bool = False) -> None:
        """As `Crew.submit`."""
        self._left.add(key)
        self._crew.submit(key, task, first=first)

    def ended(self) -> Iterator[tuple[str, MagmaRemoteError | None]]:
        """Each errand as it ends, those too that are added meanwhile; whatever is no error of ours is raised."""
        while self._left and not self._until():
            for key, error in self._crew.ended():
                self._left.discard(key)
                if error is not None and not isinstance(error, MagmaRemoteError):
                    raise error
                yield key, error
            if self._left:
                self._crew.wait(_LOOK_SECONDS)
