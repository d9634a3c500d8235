"""The dispatcher: brings every job of a campaign to its one end."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from magma_remote.errors import QueueError, StorageError
from magma_remote.model.entries import CampaignState, JobState, RunState
from magma_remote.model.messages import TTR, Broadcast, Orders, orders_tube
from magma_remote.model.outcome import Reason
from magma_remote.runtime.dispatcher.book import Book
from magma_remote.runtime.dispatcher.feeding import Feeding
from magma_remote.runtime.dispatcher.forecast import Forecast
from magma_remote.runtime.dispatcher.gathering import Gathering
from magma_remote.runtime.dispatcher.inbox import Inbox
from magma_remote.runtime.dispatcher.operations import campaign_of
from magma_remote.runtime.dispatcher.slot import broadcast, clear_jobs, hold_slot, read_slot
from magma_remote.runtime.dispatcher.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from magma_remote.model.entries import CampaignEntry
    from magma_remote.ports import Clock, Crew, Ledger, Queue, Results
    from magma_remote.runtime.dispatcher.restocking import Restocking
    from magma_remote.runtime.dispatcher.supply import Supply

log = logging.getLogger(__name__)

_HOLD_SECONDS = 5.0
_IDLE_SECONDS = 0.5
_SHORTLY_SECONDS = 0.02  # where something was just done, more is soon to come
_MOST_ORDERS = 1000  # runs in one message


@dataclass(frozen=True, kw_only=True)
class Seat:
    """Where a dispatcher sits, for messages about it; `ttr` is the jobs' in seconds.

    `demands` are the CPUs of a trial of each fuzzer, 1 where it has none.
    """

    host: str
    workdir: str
    ttr: int = TTR
    demands: Mapping[str, int] = field(default_factory=dict)


class Dispatcher:
    """`step` does what is due and returns how much that was; only `run` waits. Made for one thread.

    With a `supply` workers get the campaign's images, which `restocking` keeps in the registry; without one they build
    their own.
    """

    def __init__(
        self,
        seat: Seat,
        *,
        ledger: Ledger,
        queue: Queue,
        results: Results,
        crew: Crew,
        clock: Clock,
        supply: Supply | None = None,
        restocking: Restocking | None = None,
    ) -> None:
        campaign = campaign_of(ledger)
        self.finished = False
        self._ledger = ledger
        self._queue = queue
        self._results = results
        self._crew = crew
        self._clock = clock
        self._broadcast = _supplied(_broadcast(campaign, seat, clock.now()), supply)
        self._book = book = Book(ledger, max_attempts=campaign.max_attempts)
        missing = supply.missing if supply else frozenset()
        self._inbox = Inbox(campaign.config_id, queue, ledger, book, clock)
        self._feeding = Feeding(campaign.config_id, queue, ledger, clock, ttr=seat.ttr, missing=missing)
        self._gathering = Gathering(ledger, book, results, crew, clock)
        self._watching = Watching(ledger, book, clock, lost_after=seat.ttr * 1.25, timeout=campaign.timeout)
        self._restocking = restocking
        self._forecast = Forecast(ledger, clock, seat.demands)
        self._held_at = float("-inf")
        self._gone = ""

    def open(self) -> None:
        """Take the slot from whoever has it; jobs of theirs are removed. A campaign that has ended needs no slot."""
        if campaign_of(self._ledger).ended_at is not None:
            self._close()
            return
        found = read_slot(self._queue)
        if found and found.config_id == self._broadcast.config_id:
            self._broadcast = replace(self._broadcast, since=found.since)
            return
        if found:  # whoever has it sees by this that it is theirs no more, whatever our clocks say
            self._broadcast = replace(self._broadcast, since=max(self._broadcast.since, found.since + 1.0))
        broadcast(self._queue, self._broadcast)
        if cleared := clear_jobs(self._queue, lambda found: found == self._broadcast.config_id):
            log.info("removed %d jobs that another campaign had left", cleared)

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Step until every job is done or dead, or `until` says so."""
        pause = 0.0
        while not self.finished and not until():
            if pause:
                self._crew.wait(pause)
            pause = 0.0 if self.step() else min(max(_SHORTLY_SECONDS, 2 * pause), _IDLE_SECONDS)

    def step(self) -> int:
        """Do all that is due. A queue that is gone is asked again the next time; fetching goes on meanwhile."""
        done = self._gathering.advance()
        try:
            done += self._talk()
        except QueueError as error:
            self._gone = f"{error}; the ledger keeps what is known, and all goes on when it is back"
            done = 0
        else:
            self._gone = ""
        if not self.finished:  # its last step has cleared what needed a person
            self._watching.look(self._troubles(), hearing=not self._gone)
            self._forecast.look()
        return done

    def _troubles(self) -> dict[str, str]:
        found = self._gathering.troubles | ({"queue": self._gone} if self._gone else {})
        if self._restocking:
            self._restocking.look()
            found |= self._restocking.troubles
        return found

    def _talk(self) -> int:
        self._hold()
        done = self._inbox.read()
        self._cancel()
        done += self._feeding.feed()
        self._order()
        if self._is_over():
            self._end()
        return done

    def _hold(self) -> None:
        now = self._clock.monotonic()
        if now - self._held_at >= _HOLD_SECONDS:
            hold_slot(self._queue, self._broadcast)
            self._held_at = now

    def _order(self) -> None:
        """Tell workers what they need to know; one that is lost asks again when it is back."""
        for worker, (forget, stop) in self._book.outbox.sorted().items():
            known = self._ledger.worker(worker)
            if not (known and known.lost):
                for orders in _orders(self._broadcast.config_id, forget, stop):
                    self._queue.put(orders_tube(worker), orders.encode())
            self._book.outbox.clear(worker)

    def _cancel(self) -> None:
        """End what a person has cancelled; results that are complete already are still fetched."""
        if campaign_of(self._ledger).state is not CampaignState.CANCELLED:
            return
        with self._ledger.transaction():
            for entry in self._ledger.jobs(JobState.WAITING, JobState.QUEUED, JobState.RUNNING):
                reported = self._ledger.runs(RunState.REPORTED, number=entry.number)
                if all(run.fetches for run in reported):  # none, or none that came at once
                    dead = replace(
                        entry, state=JobState.DEAD, reason=Reason.CANCELLED, message="the campaign was cancelled"
                    )
                    self._ledger.save_job(dead)

    def _is_over(self) -> bool:
        counts = self._ledger.counts()
        unfinished = sum(counts[state] for state in JobState if state not in {JobState.DONE, JobState.DEAD})
        return not unfinished and not self._gathering.busy

    def _end(self) -> None:
        self._feeding.sweep()
        with self._ledger.transaction():
            if not self._is_over():  # somebody has put a job back meanwhile
                return
            campaign = campaign_of(self._ledger)
            state = CampaignState.ENDED if campaign.state is CampaignState.OPEN else campaign.state
            self._ledger.save_campaign(replace(campaign, state=state, ended_at=self._clock.now()))
            self._ledger.save_warnings(())
        self._close()

    def _close(self) -> None:
        """Let workers know that the campaign has ended."""
        try:
            self._results.finish()
        except StorageError as error:
            log.warning("%s", error)
        found = read_slot(self._queue)
        if found is None or (found.open and found.config_id == self._broadcast.config_id):
            complete = not self._ledger.counts()[JobState.DEAD]
            broadcast(self._queue, replace(self._broadcast, open=False, complete=complete))
            # put twice where we were killed between put and note: an extension of the campaign must not find them
            clear_jobs(self._queue, lambda config_id: config_id != self._broadcast.config_id)
        self.finished = True


def _orders(config_id: str, forget: Sequence[str], stop: Sequence[str]) -> Iterator[Orders]:
    for at in range(0, max(len(forget), len(stop)), _MOST_ORDERS):
        part = slice(at, at + _MOST_ORDERS)
        yield Orders(config_id=config_id, forget=tuple(forget[part]), stop=tuple(stop[part]))


def _supplied(message: Broadcast, supply: Supply | None) -> Broadcast:
    if supply is None:
        return message
    return replace(message, images=supply.images, uid=supply.owner.uid, gid=supply.owner.gid)


def _broadcast(campaign: CampaignEntry, seat: Seat, now: float) -> Broadcast:
    return Broadcast(
        config_id=campaign.config_id,
        source=campaign.source,
        text=campaign.text,
        tree=campaign.tree,
        since=now,
        dispatcher=seat.host,
        workdir=seat.workdir,
        ttr=seat.ttr,
        max_attempts=campaign.max_attempts,
    )
