"""A dispatcher and workers on a real beanstalkd and a real clock, each in a thread; machines and results in memory."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from magma_remote.adapters.clock import SystemClock
from magma_remote.adapters.crew import ThreadCrew
from magma_remote.adapters.memory_station import MemoryMachine, MemoryStation
from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.model.campaign_request import CampaignRequest
from magma_remote.model.entries import JobState
from magma_remote.model.jobs import Job
from magma_remote.model.messages import Tube
from magma_remote.runtime.dispatcher.dispatcher import Dispatcher, Seat
from magma_remote.runtime.dispatcher.opening import begin
from magma_remote.runtime.worker.telling import Identity
from magma_remote.runtime.worker.worker import Worker
from tests.support.memory.mortals import Disks, Fuse, MemoryResults
from tests.support.waiting import DEADLINE, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from magma_remote.adapters.beanstalk import BeanstalkQueue
    from magma_remote.model.entries import JobEntry
    from magma_remote.ports import Assignment
    from tests.support.servers.beanstalkd import Beanstalkd

SLOTS = 2
_ANSWER = 1.0  # seconds that a queue has to answer: a frozen one is noticed soon


class LiveStation(MemoryStation):
    """A station whose runs end by the real clock. `started_at` holds the clock's `monotonic` of each start."""

    def __init__(self, worker: str, disk: dict[str, object], machine: MemoryMachine) -> None:
        super().__init__(worker, SystemClock(), disk, machine)  # type: ignore[arg-type]  # a disk knows what it holds
        self.started_at: list[float] = []

    def start(self, assignment: Assignment) -> None:
        """See `Station.start`."""
        self.started_at.append(time.monotonic())
        super().start(assignment)

    def wait(self, seconds: float) -> None:
        """See `Station.wait`."""
        due = self.next_due()
        time.sleep(seconds if due is None else max(0.0, min(seconds, due - time.monotonic())))

    def pauses(self) -> list[float]:
        """Seconds between the end of a run and the start of the next one on its CPUs."""
        starts = defaultdict(list)
        for assignment, at in zip(self.starts, self.started_at, strict=True):
            starts[assignment.cpus].append(at)
        length = self.machine.run_seconds
        return [after - before - length for each in starts.values() for before, after in pairwise(each)]


class Process:
    """A thread that stands for a process; an error that ends it is raised by `join`."""

    def __init__(self, body: Callable[[Process], None]) -> None:
        self.stopping = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(body,), daemon=True)
        self._thread.start()

    def _run(self, body: Callable[[Process], None]) -> None:
        try:
            body(self)
        except BaseException as error:  # noqa: BLE001 - told to the test
            self._error = error

    def stop(self) -> None:
        """End it and wait for that."""
        self.stopping.set()
        self.join()

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()
        if self._error:
            raise self._error

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._thread.is_alive()


class Live:
    """One campaign of so many jobs. Workers are started by name, and have SLOTS CPUs each."""

    def __init__(self, folder: Path, server: Beanstalkd, *, jobs: int, run_seconds: float) -> None:
        self.server = server
        self.disks = Disks()
        self.stations: dict[str, LiveStation] = {}
        self.dispatcher: Process | None = None
        self._machine = MemoryMachine(prepare_seconds=0.05, run_seconds=run_seconds)
        self._path = folder / "ledger.sqlite"
        self._workers: dict[str, Process] = {}
        every = tuple(Job(repeat=number, fuzzer="f", target="t", program="p") for number in range(jobs))
        ledger = SqliteLedger(self._path)
        request = CampaignRequest(source="live.hjson", text="{}", tree="0" * 64, timeout=run_seconds, jobs=every)
        self.config_id = begin(ledger, request, time.time()).config_id
        ledger.close()

    def start_dispatcher(self) -> None:
        """Start one and wait for its broadcast: workers look for it only now and then."""
        self.dispatcher = Process(self._dispatch)
        with stranger(self.server) as queue:
            until(lambda: queue.peek_ready(Tube.BROADCAST))

    def stop_dispatcher(self) -> None:
        """End it as SIGKILL would, but for a fetch that it has begun."""
        assert self.dispatcher
        self.dispatcher.stop()

    def start_worker(self, name: str, **machine: Any) -> None:
        """Start one; `machine` is what is different on its machine."""
        disk, mine = self.disks.kept.setdefault(name, {}), replace(self._machine, **machine)
        self.stations[name] = LiveStation(name, disk, mine)  # type: ignore[arg-type]  # as above
        self._workers[name] = Process(lambda process: self._work(process, name))

    def start(self) -> None:
        """A dispatcher and two workers."""
        self.start_dispatcher()
        for name in ("w0", "w1"):
            self.start_worker(name)

    def _dispatch(self, process: Process) -> None:
        with ExitStack() as held:
            queue, ledger, crew = self.server.queue(timeout=_ANSWER), SqliteLedger(self._path), ThreadCrew(2)
            for each in (queue, ledger, crew):
                held.callback(each.close)
            dispatcher = Dispatcher(
                Seat(host="here", workdir="/w", ttr=20),
                ledger=ledger,
                queue=queue,
                results=MemoryResults(self.disks, Fuse()),
                crew=crew,
                clock=SystemClock(),
            )
            dispatcher.open()
            dispatcher.run(until=process.stopping.is_set)

    def _work(self, process: Process, name: str) -> None:
        queue = self.server.queue(timeout=_ANSWER)
        try:
            identity = Identity(worker=name, name=name, host="here", version="0")
            Worker(identity, queue, self.stations[name], SystemClock()).run(until=process.stopping.is_set)
        finally:
            queue.close()

    def entries(self) -> list[JobEntry]:
        """All jobs."""
        ledger = SqliteLedger.open_existing(self._path, read_only=True)
        try:
            return list(ledger.jobs())
        finally:
            ledger.close()

    def count(self, *states: JobState) -> int:
        """How many jobs are in one of these states."""
        return sum(entry.state in states for entry in self.entries())

    @property
    def starts(self) -> int:
        """How many runs were started."""
        return sum(len(station.starts) for station in self.stations.values())

    def await_starts(self, count: int) -> None:
        """Wait until so many runs were started."""
        until(lambda: self.starts >= count)

    def await_end(self, look: Callable[[], None] = lambda: None, *, within: float = DEADLINE) -> None:
        """Wait for the dispatcher's own end, and `look` meanwhile; every job must have its one result."""
        dispatcher = self.dispatcher
        assert dispatcher

        def ended() -> bool:
            look()
            return not dispatcher.runs

        until(ended, deadline=within)
        dispatcher.join()
        self.check()

    def check(self) -> None:
        """Every job is done, with one result."""
        for entry in self.entries():
            assert (entry.state, self.disks.merged.get(entry.number)) == (JobState.DONE, entry.run), entry
            assert self.disks.merges[entry.number] == 1, entry
        assert not [clash for station in self.stations.values() for clash in station.clashes]

    def close(self) -> None:
        """End all."""
        for process in [*self._workers.values(), *filter(None, [self.dispatcher])]:
            process.stopping.set()
        for process in [*self._workers.values(), *filter(None, [self.dispatcher])]:
            process.join()


@contextmanager
def live(folder: Path, server: Beanstalkd, *, jobs: int, run_seconds: float) -> Iterator[Live]:
    """One campaign; nothing of it runs afterwards."""
    made = Live(folder, server, jobs=jobs, run_seconds=run_seconds)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def stranger(server: Beanstalkd) -> Iterator[BeanstalkQueue]:
    """A client of nobody's."""
    queue = server.queue()
    try:
        yield queue
    finally:
        queue.close()
