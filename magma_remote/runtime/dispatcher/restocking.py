"""The registry beside a campaign that runs: whether it answers, and has all images that workers may have to pull."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from magma_remote.errors import MagmaRemoteError
from magma_remote.model.heartbeat import WorkerState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from magma_remote.model.entries import PinEntry, WorkerEntry
    from magma_remote.ports import Clock, Crew, Ledger
    from magma_remote.runtime.images.restoring import Restoring

log = logging.getLogger(__name__)

EVERY_SECONDS = 300.0
"""Between two questions for an image, one after the other: each costs engine and registry 10 ms of CPU, and there may
be a hundred images, and trials beside."""

SOON_SECONDS = 30.0
"""The same while the registry is away, or for an image that a worker says it cannot pull."""

_AWAY = (
    "{error}. Results are fetched all the same, and workers that have this campaign's images go on; one that has to "
    "pull an image cannot work until the registry answers, which is asked again every {seconds:.0f} s"
)
_LOST = "{why}. Workers that have it go on; one that has to pull it cannot work"


class Restocking:
    """`look` takes no time: the questions are the crew's. `troubles` are for people, until they are over.

    `away` is why the registry could not be asked when the dispatcher began.
    """

    def __init__(
        self,
        restoring: Restoring,
        pins: Iterable[PinEntry],
        *,
        ledger: Ledger,
        crew: Crew,
        clock: Clock,
        away: str = "",
    ) -> None:
        self._restoring = restoring
        self._pins = tuple(pins)
        self._ledger = ledger
        self._crew = crew
        self._clock = clock
        self._away = away
        self._lost: dict[tuple[str, str], str] = {}
        self._asking = False
        self._asked_at = float("-inf")
        self._asked_in_turn_at = clock.monotonic()
        self._turn = 0
        self._is_known = False

    @property
    def troubles(self) -> dict[str, str]:
        """What a person should know, by a key each; of lost images what was known last."""
        away = {"registry": _AWAY.format(error=self._away, seconds=SOON_SECONDS)} if self._away else {}
        return away | {f"image {'/'.join(pair)}": _LOST.format(why=why) for pair, why in self._lost.items()}

    def look(self) -> None:
        """Take in what was found, and ask again where that is due."""
        for _, error in self._crew.ended():
            self._asking, self._away = False, _why(error)
            self._is_known = not self._away
        now = self._clock.monotonic()
        if self._asking or now - self._asked_at < SOON_SECONDS:
            return
        self._asked_at = now
        if due := self._due(now):
            self._asking = True
            self._crew.submit("images", partial(self._ask, due))

    def _due(self, now: float) -> Sequence[PinEntry]:
        """All of them where nothing is known, else those that a worker cannot pull, and now and then one more."""
        if not self._is_known:
            return self._pins
        said = " ".join(_unfit(self._ledger.workers()))
        due = {
            pin.image.pair: pin
            for pin in self._pins
            if pin.image.manifest in said and pin.image.pair not in self._restoring.stuck
        }
        if self._pins and now - self._asked_in_turn_at >= EVERY_SECONDS:
            self._asked_in_turn_at = now
            self._turn = (self._turn + 1) % len(self._pins)
            known = [pin for pin in self._pins if pin.image.pair in self._lost]
            due |= {pin.image.pair: pin for pin in [self._pins[self._turn], *known]}
        return tuple(due.values())

    def _ask(self, pins: Sequence[PinEntry]) -> None:
        """In the crew's thread, while nobody else looks at what is lost."""
        lost = self._restoring.lost(pins)
        if len(pins) < len(self._pins) and any(pin.image.pair not in self._lost for pin in lost):
            pins, lost = self._pins, self._restoring.lost(self._pins)  # where one is gone, others may be, too
        found = self._restoring.restore(lost)
        asked = {pin.image.pair for pin in pins}
        self._lost = {pair: why for pair, why in self._lost.items() if pair not in asked} | found


def _why(error: Exception | None) -> str:
    if error is None or isinstance(error, MagmaRemoteError):
        return str(error or "")
    log.error("asking the registry failed", exc_info=error)
    return f"the registry was not asked, for a defect of this program: {error!r}"


def _unfit(workers: Iterable[WorkerEntry]) -> Iterable[str]:
    live = (entry.heartbeat for entry in workers if not entry.lost)
    return (beat.detail for beat in live if beat.state is WorkerState.UNFIT)
