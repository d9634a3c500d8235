"""How a worker comes to its runs: jobs that it can run now get CPUs of their own, and wait for their start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magma_remote.model.admission import Abilities
from magma_remote.model.messages import Tube
from magma_remote.model.outcome import Reason
from magma_remote.ports import Assignment
from magma_remote.runtime.worker.breaker import Breaker
from magma_remote.runtime.worker.holding import Held
from magma_remote.runtime.worker.taking import Taking, new_run

if TYPE_CHECKING:
    from magma_remote.model.messages import JobMessage
    from magma_remote.ports import Clock, Delivery, Prepared, Queue, RunEnded
    from magma_remote.runtime.leases import Lease
    from magma_remote.runtime.worker.following import Following
    from magma_remote.runtime.worker.holding import Holding
    from magma_remote.runtime.worker.taking import Taken

_GRACE_SECONDS = 3.0  # after a lost connection everybody takes back what is theirs before anybody takes what is new


class Intake:
    """`to_start` are runs that are in hand and not begun; the worker empties it."""

    def __init__(self, worker: str, following: Following, holding: Holding, *, queue: Queue, clock: Clock) -> None:
        self.to_start: list[Assignment] = []
        self._worker = worker
        self._following = following
        self._holding = holding
        self._queue = queue
        self._clock = clock
        self._taking = Taking(queue, worker)
        self._breaker = Breaker()
        self._lease_of: dict[str, Lease] = {}
        self._session = 0
        self._server = ""
        self._grace_until = float("-inf")

    @property
    def under_way(self) -> int:
        """How many runs have begun and not ended."""
        return len(self._lease_of) - len(self.to_start)

    def ended(self, ended: RunEnded) -> None:
        """A run has ended: its CPUs are free."""
        if lease := self._lease_of.pop(ended.run, None):
            lease.release()
        self._breaker.ended(ended.reason, ended.message, self._clock.monotonic())

    def take(self) -> None:
        """Reserve jobs while CPUs are free; after a lost connection not at once."""
        now, session = self._clock.monotonic(), self._queue.session(Tube.JOBS)
        if session != self._session:
            grace = self._grace()
            self._grace_until = now + grace if session > 1 else float("-inf")
            self._session = session
        following = self._following
        if now < self._grace_until:
            return
        while following.broadcast and following.prepared and following.may_take(self._breaker.obstacle(now)):
            abilities = self._abilities(following.prepared)
            found = self._taking.job(following.broadcast, abilities)
            if found is None or not self._accept(found):
                return

    def _grace(self) -> float:
        """After a restart of the queue nobody can tell a job that another worker still runs from a new one."""
        server, before = self._queue.server(), self._server
        self._server = server
        ttr = self._following.broadcast.ttr if self._following.broadcast else 0
        return ttr / 2 if before and server != before else _GRACE_SECONDS

    def _abilities(self, prepared: Prepared) -> Abilities:
        return Abilities(
            worker=self._worker,
            free=sum(len(cpus) for cpus in self._following.leases.free),
            demands=prepared.demands,
            cannot=prepared.cannot,
            running={held.assignment.number for held in self._holding},
        )

    def _accept(self, taken: Taken) -> bool:
        """Take a job in hand; False where no further one is wanted now."""
        delivery, message = taken.delivery, taken.message
        if message.config_id != self._following.config_id:
            return self._refuse(delivery, message)
        if self._following.is_behind():  # it may be of what was added
            self._queue.release(delivery)
            self._following.look_soon()
            return False
        prepared = self._following.prepared
        lease = self._following.leases.try_lease(prepared.demands.get(message.job.fuzzer, 1) if prepared else 1)
        if lease is None:
            self._queue.release(delivery, delay=1)
            return False
        assignment = Assignment(
            config_id=message.config_id,
            run=new_run(message.number),
            number=message.number,
            attempt=message.attempt,
            job=message.job,
            cpus=lease.cpus,
        )
        self._lease_of[assignment.run] = lease
        now = self._clock.now()
        self._holding.add(Held(assignment=assignment, message=delivery, reserves=taken.reserves, started_at=now))
        self.to_start.append(assignment)
        return True

    def _refuse(self, delivery: Delivery, message: JobMessage) -> bool:
        """A job of another campaign: either the broadcast has changed, or the job is nobody's."""
        found = self._following.peek()
        if found and found.config_id == message.config_id:
            self._queue.release(delivery)
            self._following.look_soon()
            return False
        why = f"the job is of another campaign than the broadcast ({self._following.config_id})"
        self._taking.fail(delivery, message, Reason.CONFIG, why)
        return True
