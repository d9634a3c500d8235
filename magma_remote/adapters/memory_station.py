"""A station in memory, for tests of the worker: no threads, all by the clock that it is given."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from magma_remote.model.messages import Place
from magma_remote.model.outcome import Reason
from magma_remote.ports import Kept, Prepared, RunEnded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from magma_remote.model.cpus import CpuSet
    from magma_remote.model.messages import Broadcast
    from magma_remote.ports import Assignment, Clock


@dataclass(frozen=True, kw_only=True)
class MemoryMachine:
    """What a MemoryStation can do and how long it takes; `fails` says which runs go wrong, and why.

    `unfit`, `sets`, `housekeeping`, `demands` and `cannot` as in Prepared.
    """

    prepare_seconds: float = 5.0
    run_seconds: float = 60.0
    stop_seconds: float = 0.0
    unfit: str = ""
    sets: tuple[CpuSet, ...] = ((0,), (1,))
    housekeeping: CpuSet = ()
    demands: Mapping[str, int] | None = None
    cannot: Mapping[str, str] | None = None
    fails: Callable[[Assignment], Reason | None] = lambda _assignment: None


class MemoryStation:
    """A `Station`. `disk` outlives it: a run's folder is there by its run, with None until it is complete.

    A new station on the same disk finds the complete ones in `kept` and removes the others, as a worker does that
    was killed. `obstacle_text` is what `obstacle` says. What was asked of it is in `prepared`, `starts`, `stops`,
    `forgotten` and `releases`; `clashes` are runs that were started on a CPU that another run had, `strangers` those
    whose fuzzer the file that it was prepared for does not name among its FUZZERS, if it names any: no worker may do
    that. Files are JSON.
    """

    def __init__(
        self, worker: str, clock: Clock, disk: dict[str, Kept | None], machine: MemoryMachine | None = None
    ) -> None:
        self.machine = machine or MemoryMachine()
        self.obstacle_text = ""
        self.prepared: list[Broadcast] = []
        self.starts: list[Assignment] = []
        self.stops: list[str] = []
        self.forgotten: list[str] = []
        self.clashes: list[tuple[str, str]] = []
        self.strangers: list[str] = []
        self.releases = 0
        self._worker = worker
        self._clock = clock
        self._disk = disk
        self._preparing: list[tuple[float, Prepared]] = []
        self._running: dict[str, tuple[Assignment, float]] = {}
        self._ends: dict[str, tuple[float, RunEnded]] = {}
        for run in [run for run, kept in disk.items() if kept is None]:
            del disk[run]

    @property
    def running(self) -> tuple[Assignment, ...]:
        """Runs that have not ended, or whose end nobody has heard."""
        return tuple(assignment for assignment, _ in self._running.values())

    def next_due(self) -> float | None:
        """When, by the clock's `monotonic`, it has news next; None where nothing is under way."""
        return min([due for due, _ in (*self._preparing, *self._ends.values())], default=None)

    def prepare(self, broadcast: Broadcast) -> None:
        """See `Station.prepare`."""
        if self._running:
            raise AssertionError(f"prepared while {list(self._running)} run")
        self.prepared.append(broadcast)
        machine = self.machine
        news = Prepared(config_id=broadcast.config_id, unfit=machine.unfit, housekeeping=machine.housekeeping)
        if not machine.unfit:
            news = replace(news, sets=machine.sets, demands=machine.demands or {}, cannot=machine.cannot or {})
        self._preparing = [(self._clock.monotonic() + machine.prepare_seconds, news)]

    def serves(self, broadcast: Broadcast, before: Broadcast) -> bool:
        """See `Station.serves`: REPEAT is nothing that anybody sets up for."""
        now, then = (json.loads(each.text) | {"REPEAT": 0} for each in (broadcast, before))
        return bool(now == then)

    def progress(self) -> str:
        """See `Station.progress`."""
        return "preparing" if self._preparing else ""

    def obstacle(self) -> str:
        """See `Station.obstacle`."""
        return self.obstacle_text

    def start(self, assignment: Assignment) -> None:
        """See `Station.start`."""
        now = self._clock.monotonic()
        for other, _ in self._running.values():
            if set(other.cpus) & set(assignment.cpus):
                self.clashes.append((other.run, assignment.run))
        fuzzers = json.loads(self.prepared[-1].text).get("FUZZERS") if self.prepared else None
        if fuzzers is not None and assignment.job.fuzzer not in fuzzers:
            self.strangers.append(assignment.run)
        self.starts.append(assignment)
        self._running[assignment.run] = (assignment, self._clock.now())
        self._disk[assignment.run] = None
        self._ends[assignment.run] = (now + self.machine.run_seconds, self._outcome(assignment))

    def stop(self, run: str) -> None:
        """See `Station.stop`: it ends `stop_seconds` from now, or by itself where that is sooner."""
        self.stops.append(run)
        if run in self._ends:
            due = self._clock.monotonic() + self.machine.stop_seconds
            stopped = RunEnded(run=run, reason=Reason.INTERRUPTED, message="stopped before its end")
            self._ends[run] = min(self._ends[run], (due, stopped), key=lambda end: end[0])

    def status(self, run: str) -> tuple[str, float, tuple[str, ...]]:
        """See `Station.status`."""
        return "fuzzing", self._running[run][1] if run in self._running else 0.0, ()

    def news(self) -> list[Prepared | RunEnded]:
        """See `Station.news`: what the clock has passed by now, in its order.

        A result is on the disk from here on: ask, and drop the answer, for a worker that dies before it tells.
        """
        now = self._clock.monotonic()
        under_way: list[tuple[float, Prepared | RunEnded]] = [*self._preparing, *self._ends.values()]
        told = [item for due, item in sorted(under_way, key=lambda item: item[0]) if due <= now]
        self._preparing = [item for item in self._preparing if item[0] > now]
        for item in told:
            if isinstance(item, RunEnded):
                self._end(item)
        return told

    def wait(self, seconds: float) -> None:
        """See `Station.wait`: nobody else is there to let time pass meanwhile."""
        self._clock.sleep(seconds)

    def kept(self) -> tuple[Kept, ...]:
        """See `Station.kept`."""
        return tuple(kept for kept in self._disk.values() if kept)

    def forget(self, run: str) -> None:
        """See `Station.forget`."""
        self.forgotten.append(run)
        if self._disk.get(run):
            del self._disk[run]

    def release(self) -> None:
        """See `Station.release`."""
        self.releases += 1

    def _outcome(self, assignment: Assignment) -> RunEnded:
        if reason := self.machine.fails(assignment):
            return RunEnded(run=assignment.run, reason=reason, message=f"scripted: {reason.value}")
        folder = f"/{self._worker}/workdir_{assignment.config_id}_{assignment.run}"
        place = Place(
            folder=folder, workdirs=f"/{self._worker}", token=self._worker, host="192.0.2.7", port=22, user="magma"
        )
        return RunEnded(
            run=assignment.run,
            reason=None,
            place=place,
            manifest=f"{assignment.run:0>64}",
            started_at=self._clock.now(),
        )

    def _end(self, ended: RunEnded) -> None:
        assignment, _ = self._running.pop(ended.run)
        del self._ends[ended.run]
        if ended.reason is None:
            self._disk[ended.run] = Kept(assignment=assignment, ended=ended)
        else:
            self._disk.pop(ended.run, None)
