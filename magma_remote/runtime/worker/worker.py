"""A worker: takes jobs that it can run now, keeps them, and tells what became of them."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING

from magma_remote.errors import QueueError
from magma_remote.model.cpus import cpu_list
from magma_remote.model.heartbeat import WorkerState
from magma_remote.model.messages import Orders, Tube, orders_tube
from magma_remote.model.outcome import Reason
from magma_remote.ports import Prepared, RunEnded
from magma_remote.runtime.logs import facts
from magma_remote.runtime.mail import read_or_bury
from magma_remote.runtime.worker.following import Following
from magma_remote.runtime.worker.holding import Held, Holding
from magma_remote.runtime.worker.intake import Intake
from magma_remote.runtime.worker.reporting import Reporting
from magma_remote.runtime.worker.telling import Telling

if TYPE_CHECKING:
    from collections.abc import Callable

    from magma_remote.ports import Clock, Delivery, Queue, Station
    from magma_remote.runtime.worker.telling import Identity

log = logging.getLogger(__name__)

LEAVE_SECONDS = 3.5
"""How long a worker that is told to leave waits for its containers to end."""

_GOODBYE_SECONDS = 30.0  # for the dispatcher to confirm the last results


class Worker:
    """`step` does what is due and returns at once; only `run` and `leave` wait. Made for one thread."""

    def __init__(self, identity: Identity, queue: Queue, station: Station, clock: Clock, *, once: bool = False) -> None:
        self.holding = Holding(queue)
        self.finished = False
        self._identity = identity
        self._queue = queue
        self._station = station
        self._clock = clock
        self._once = once
        self._draining = False
        self._leaving = False
        self._following = Following(queue, station, clock)
        self._telling = Telling(identity, self._following, self.holding, queue=queue, station=station, clock=clock)
        self._intake = Intake(identity.worker, self._following, self.holding, queue=queue, clock=clock)
        self._reporting = Reporting(queue, station, self.holding, identity.worker)
        self._begun_at = clock.monotonic()
        self._gone = ""

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Step until `until` says so, it has drained or, with `once`, the campaign has ended."""
        while not self.finished and not until():
            self.step()
            if not self.finished:
                self._station.wait(self._pause())

    def step(self) -> None:
        """Do all that is due. A queue that is gone is asked again the next time; runs go on meanwhile."""
        self._hear_station()
        try:
            self._hear_broadcast()
            self._hear_orders()
            self._reporting.put()
            self._tidy()
            self._keep()
            self._following.set_up(idle=not len(self.holding))
            if not self._draining:
                self._intake.take()
            self._beat()
        except QueueError as error:
            self._lose(error)
            return
        self._found()
        self._start()
        self.finished = self._is_finished()

    def leave(self) -> None:
        """End all runs and give their jobs back. Within LEAVE_SECONDS and what the queue takes to answer."""
        self._leaving = True
        for held in self.holding:
            self._station.stop(held.run)
        until = self._clock.monotonic() + LEAVE_SECONDS
        while self._intake.under_way and self._clock.monotonic() < until:
            self._station.wait(0.2)
            self._hear_station()
        try:
            self._give_back()
        except QueueError as error:
            if len(self.holding):
                log.warning("left without a word, the jobs are ready again when their TTR is over: %s", error)
        self._queue.close()

    def _give_back(self) -> None:
        self._reporting.put_complete()
        left = list(self.holding)
        self._beat(returned=tuple(held.run for held in left))
        for held in left:
            if held.message:
                self._queue.release(held.message)

    def _pause(self) -> float:
        """Of different lengths: of workers that ask in step, one would always find a job before the other."""
        if self._gone:
            return 1.0
        longest = 0.4 if self._wants_more() and self._following.leases.free else 1.0
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    def _wants_more(self) -> bool:
        return self._following.state is WorkerState.READY and not self._draining

    # what happens on this machine

    def _hear_station(self) -> None:
        for news in self._station.news():
            if isinstance(news, Prepared):
                self._following.be_prepared(news)
            else:
                self._end(news)

    def _end(self, ended: RunEnded) -> None:
        self._intake.ended(ended)
        self._reporting.add(ended)

    # what the dispatcher says

    def _hear_broadcast(self) -> None:
        if not self._following.is_due() and not self._gone:
            return
        if self._following.look():
            self._reporting.tell_soon()
            for held in self.holding:
                if self._following.closed or held.assignment.config_id != self._following.config_id:
                    self._give_up(held, "its campaign has ended")
        if self._following.broadcast and not self._following.closed:
            self._reporting.tell_again(self._following.broadcast, self._queue.server(), self._clock.monotonic())

    def _hear_orders(self) -> None:
        while message := self._queue.reserve(orders_tube(self._identity.worker)):
            if orders := read_or_bury(self._queue, message, Orders):
                self._follow(orders, message)
                self._queue.delete(message)

    def _follow(self, orders: Orders, message: Delivery) -> None:
        for run in orders.forget:
            self._station.forget(run)
        for run in orders.stop:
            if held := self.holding.get(run):
                self._give_up(held, "its job is settled elsewhere")
        if orders.drain and not self._draining and self._is_for_us(message):
            log.info("draining: takes nothing new, leaves when what runs has ended")
            self._draining = True

    def _is_for_us(self, message: Delivery) -> bool:
        """Whether an order came after this process began: drain was the wish for one that is gone."""
        stats = self._queue.stats(message)
        return stats is not None and stats.age <= self._clock.monotonic() - self._begun_at

    def _tidy(self) -> None:
        """A result that comes late is not needed where every job has one; where some are missing, it may be."""
        broadcast = self._following.broadcast
        if broadcast and broadcast.complete:
            for kept in self._station.kept():
                if kept.assignment.config_id == self._following.config_id:
                    self._station.forget(kept.assignment.run)

    def _give_up(self, held: Held, why: str) -> None:
        if not held.given_up:
            held.given_up = why
            extra = facts(held.assignment.job, run=held.run, action="stop")
            log.warning("%s is stopped: %s", held.assignment.job, why, extra=extra)
            self._station.stop(held.run)

    # jobs

    def _keep(self) -> None:
        if self._gone:
            self._queue.peek_ready(Tube.JOBS)  # connected anew, it is known that what was reserved is not ours any more
        ttr = self._following.broadcast.ttr if self._following.broadcast else 0
        for held in self.holding.keep(self._clock.monotonic(), every=ttr / 4):
            self._give_up(held, "another worker has its job")

    def _start(self) -> None:
        """Only after the heartbeat: a job that kills its worker has been counted by then."""
        for assignment in self._intake.to_start:
            held = self.holding.get(assignment.run)
            if held and held.given_up:
                self._end(RunEnded(run=assignment.run, reason=Reason.INTERRUPTED))
            else:
                extra = facts(assignment.job, run=assignment.run, action="start")
                log.info("%s starts on CPUs %s", assignment.job, cpu_list(assignment.cpus), extra=extra)
                self._station.start(assignment)
        self._intake.to_start = []

    def _beat(self, returned: tuple[str, ...] = ()) -> None:
        state = (
            WorkerState.STOPPED if self._leaving else WorkerState.DRAINING if self._draining else self._following.state
        )
        self._telling.tell(state, waiting={assignment.run for assignment in self._intake.to_start}, returned=returned)

    # a queue that comes and goes

    def _lose(self, error: QueueError) -> None:
        if not self._gone:
            log.warning("%s; %d runs go on meanwhile", error, len(self.holding))
        self._gone = str(error)

    def _found(self) -> None:
        if self._gone:
            log.info("the queue answers again")
        self._gone = ""

    def _is_finished(self) -> bool:
        if len(self.holding) or self._reporting.waiting:
            return False
        if self._draining:
            return True
        waited = self._clock.monotonic() - self._following.changed_at > _GOODBYE_SECONDS
        return self._once and self._following.closed and (waited or not self._station.kept())
