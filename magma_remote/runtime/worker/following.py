"""Which campaign a worker works for, and how far its machine is set up for it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from magma_remote.errors import WireError
from magma_remote.model.heartbeat import WorkerState
from magma_remote.model.messages import Broadcast, Tube
from magma_remote.runtime.leases import CpuLeases

if TYPE_CHECKING:
    from magma_remote.ports import Clock, Prepared, Queue, Station

log = logging.getLogger(__name__)

_LOOK_SECONDS = 5.0
_IDLE_LOOK_SECONDS = 1.0  # nothing is in hand: a campaign that begins shall not wait for us
_PREPARE_AGAIN = 30.0
_AGAIN = "more has come to the campaign: this worker sets up for it once its runs have ended"


class Following:
    """Follows the broadcast. `leases` share out the CPU sets of the station as it was last prepared."""

    def __init__(self, queue: Queue, station: Station, clock: Clock) -> None:
        self.state = WorkerState.WAITING
        self.detail = "no campaign yet"
        self.broadcast: Broadcast | None = None
        self.prepared: Prepared | None = None
        self.leases = CpuLeases(())
        self.changed_at = float("-inf")
        self._queue = queue
        self._station = station
        self._clock = clock
        self._preparing: Broadcast | None = None
        self._looked_at = self._prepared_at = float("-inf")

    @property
    def config_id(self) -> str:
        """The campaign's id, empty without one."""
        return self.broadcast.config_id if self.broadcast else ""

    @property
    def closed(self) -> bool:
        """Whether the campaign has ended."""
        return self.broadcast is not None and not self.broadcast.open

    def is_due(self) -> bool:
        """Whether it is time to look again."""
        waits = self.broadcast is None or not self.broadcast.open
        return self._clock.monotonic() - self._looked_at >= (_IDLE_LOOK_SECONDS if waits else _LOOK_SECONDS)

    def look_soon(self) -> None:
        """Look the next time."""
        self._looked_at = float("-inf")

    def look(self) -> bool:
        """See what is broadcast now; True where it is another campaign, or ours has ended or been extended."""
        found, now = self.peek(), self._clock.monotonic()
        self._looked_at = now
        before = self.broadcast
        self.broadcast = found or before
        if found is None or (before and self._is_known(found, before)):
            return False
        self.prepared, self.changed_at = None, now
        self.state = WorkerState.WAITING
        self.detail = _detail(found, before)
        log.info("campaign %s (%s) is %s", found.config_id, found.source, "open" if found.open else "over")
        return True

    def is_behind(self) -> bool:
        """Whether our campaign has been extended by what this worker is not set up for."""
        found, before = self.peek(), self.broadcast
        ours = found and before and found.open and found.config_id == before.config_id
        return bool(found and before and ours and not self._is_known(found, before))

    def peek(self) -> Broadcast | None:
        """What is broadcast now; None where nothing is, or nothing that can be read."""
        message = self._queue.peek_ready(Tube.BROADCAST)
        try:
            return Broadcast.decode(message.body) if message else None
        except WireError as error:
            self.say(f"the broadcast cannot be read: {error}")
            return None

    def set_up(self, *, idle: bool) -> None:
        """Have the station prepared for the campaign, or released after its end, once no run is left."""
        if self.broadcast is None or not idle:
            return
        if self.closed:
            self._preparing = None
            self._station.release()
            return
        if self._preparing and self._preparing.config_id == self.config_id:
            return
        again = self._clock.monotonic() - self._prepared_at >= _PREPARE_AGAIN
        if self.prepared and not (self.prepared.unfit and again):
            return
        self._preparing = self.broadcast
        if self.prepared is None:
            self.state = WorkerState.PREPARING
        self._station.prepare(self.broadcast)

    def be_prepared(self, prepared: Prepared) -> None:
        """The station's answer, perhaps to an earlier campaign."""
        if self.closed or prepared.config_id != self.config_id:
            return
        asked, self._preparing = self._preparing, None
        if asked and self.broadcast and not self._is_known(self.broadcast, asked):
            return  # more has come meanwhile: once more
        self._prepared_at = self._clock.monotonic()
        self.prepared = prepared
        self.leases = CpuLeases(prepared.sets)
        self.state = WorkerState.UNFIT if prepared.unfit else WorkerState.READY
        self.detail = ""
        self.say(prepared.unfit)
        if not prepared.unfit:
            log.info("ready with %d CPU sets", len(prepared.sets))

    def may_take(self, obstacle: str) -> bool:
        """Whether a CPU is free and nothing is in the way, neither what the caller knows of nor on this machine."""
        if self.state is not WorkerState.READY or not self.leases.free:
            return False
        obstacle = obstacle or self._station.obstacle()
        self.say(obstacle)
        return not obstacle

    def _is_known(self, found: Broadcast, before: Broadcast) -> bool:
        """Whether whoever is set up for one broadcast is set up for the other."""
        if (found.config_id, found.open, found.tree) != (before.config_id, before.open, before.tree):
            return False
        if found.provides != before.provides or not set(found.images) <= set(before.images):
            return False
        return found.text == before.text or self._station.serves(found, before)

    def say(self, detail: str) -> None:
        """What is the matter, if anything; logged once."""
        if detail and detail != self.detail:
            log.warning("%s", detail)
        self.detail = detail


def _detail(found: Broadcast, before: Broadcast | None) -> str:
    if not found.open:
        return f"campaign {found.config_id} ({found.source}) has ended"
    again = before and before.open and before.config_id == found.config_id
    return _AGAIN if again else ""
