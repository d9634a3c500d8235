"""Tells of builds in the log."""

from __future__ import annotations

import logging
from threading import Event
from typing import TYPE_CHECKING

from magma_remote.errors import StoppedError

if TYPE_CHECKING:
    from magma_remote.model.image import Recipe

log = logging.getLogger(__name__)


class LoggingReporter:
    """A `BuildReporter` that logs, and ends a build that nobody needs any more."""

    def __init__(self, cancelled: Event | None = None) -> None:
        self._cancelled = cancelled or Event()

    def note(self, text: str) -> None:
        """See `BuildReporter.note`."""
        log.info("%s", text)

    def building(self, recipe: Recipe, number: int, count: int) -> None:
        """See `BuildReporter.building`."""
        log.info("image %d of %d: %s", number, count, recipe.name)

    def build_line(self, line: str) -> None:
        """Its lines go to the build's own log."""
        if self._cancelled.is_set():
            raise StoppedError(f"the build was given up at: {line}")

    def built(self, recipe: Recipe, seconds: float) -> None:
        """See `BuildReporter.built`."""
        log.info("built %s in %.0f s", recipe.tag, seconds)
