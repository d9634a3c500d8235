"""A dispatcher and workers on a queue and machines in memory, on one clock: everything can die at any call."""

from __future__ import annotations

import json
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from magma_remote.adapters.memory_clock import MemoryClock
from magma_remote.adapters.memory_queue import MemoryServer
from magma_remote.adapters.memory_station import MemoryMachine, MemoryStation
from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.errors import QueueError, UsageError
from magma_remote.model.campaign_request import CampaignRequest
from magma_remote.model.entries import CampaignEntry, JobEntry, JobState
from magma_remote.model.jobs import Job
from magma_remote.model.messages import Tube
from magma_remote.runtime.dispatcher.dispatcher import Dispatcher, Seat
from magma_remote.runtime.dispatcher.extending import extend
from magma_remote.runtime.dispatcher.slot import ReplacedError, refuse_other
from magma_remote.runtime.worker.telling import Identity
from magma_remote.runtime.worker.worker import Worker
from tests.support.memory.mortals import (
    Disks,
    DispatcherProcess,
    Fuse,
    KilledError,
    MemoryResults,
    MortalQueue,
    SlowCrew,
    WorkerProcess,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from magma_remote.model.entries import Warned, WorkerEntry
    from magma_remote.ports import Assignment, Ledger

CONFIG = "c0ffee"
TTR = 120
RUN_SECONDS = 300.0
TICK = 5.0
FUZZERS = ("f0", "f1", "f2")


def file_text(repeat: int, fuzzers: Sequence[str]) -> str:
    """A campaign file, as far as machines in memory read it."""
    return json.dumps({"REPEAT": repeat, "FUZZERS": fuzzers})


class World:
    """Workers are named by numbers; `fails` says which runs go wrong."""

    def __init__(self, folder: Path, jobs: int, *, ttr: int = TTR) -> None:
        self.clock = MemoryClock()
        self.server = MemoryServer(self.clock)
        self.disks = Disks()
        self.patience = 0
        self.ttr = ttr
        self.workers: dict[str, WorkerProcess] = {}
        self.dispatcher: DispatcherProcess | None = None
        self.machine = MemoryMachine(prepare_seconds=5.0, run_seconds=RUN_SECONDS)
        self.machines: dict[str, MemoryMachine] = {}
        self.starts: list[Assignment] = []
        self.clashes: list[tuple[str, str]] = []
        self.strangers: list[str] = []
        self.ticks = 0
        self.path = folder / "ledger.sqlite"
        self._begin(jobs)

    def _begin(self, jobs: int) -> None:
        campaign = CampaignEntry(
            config_id=CONFIG,
            source="campaign.hjson",
            text=file_text(1, FUZZERS),
            tree="".join(FUZZERS),
            since=self.clock.now(),
            timeout=RUN_SECONDS,
            max_attempts=3,
            terms={"POLL": "5"},
        )
        every = [Job(repeat=n, fuzzer=f"f{n % 3}", target="t", program="p") for n in range(jobs)]
        with closing(SqliteLedger(self.path)) as ledger:
            ledger.save_campaign(campaign)
            ledger.add_jobs(JobEntry(number=number, job=job) for number, job in enumerate(every))

    # who is there

    def start_dispatcher(self) -> None:
        """Start one, if none is there."""
        if self.dispatcher:
            return
        fuse = Fuse()
        queue, ledger = MortalQueue(self.server, fuse), SqliteLedger(self.path)
        dispatcher = Dispatcher(
            Seat(host="d", workdir="/w", ttr=self.ttr),
            ledger=ledger,
            queue=queue,
            results=MemoryResults(self.disks, fuse),
            crew=SlowCrew(self.patience),
            clock=self.clock,
        )
        self.dispatcher = DispatcherProcess(queue=queue, fuse=fuse, dispatcher=dispatcher, ledger=ledger)
        try:
            refuse_other(queue, CONFIG)
            dispatcher.open()
        except (KilledError, QueueError, UsageError):
            self.kill_dispatcher()

    def start_worker(self, name: str) -> None:
        """Start one, if none of this name is there; it finds its disk."""
        if name in self.workers:
            return
        fuse = Fuse()
        queue = MortalQueue(self.server, fuse)
        disk = self.disks.kept.setdefault(name, {})
        station = MemoryStation(name, self.clock, disk, self.machines.get(name, self.machine))
        worker = Worker(Identity(worker=name, name=name, host=name, version="0"), queue, station, self.clock)
        self.workers[name] = WorkerProcess(queue=queue, fuse=fuse, worker=worker, station=station)

    def kill_worker(self, name: str) -> None:
        """SIGKILL."""
        process = self.workers.pop(name)
        process.queue.close()
        self._note(process.station)

    def leave(self, name: str) -> None:
        """SIGTERM."""
        process = self.workers[name]
        with suppress(KilledError):
            process.worker.leave()
        self.kill_worker(name)

    def kill_dispatcher(self) -> None:
        """SIGKILL."""
        if self.dispatcher:
            self.dispatcher.queue.close()
            self.dispatcher.ledger.close()
            self.dispatcher = None

    def _note(self, station: MemoryStation) -> None:
        self.starts += station.starts
        self.clashes += station.clashes
        self.strangers += station.strangers

    # time

    def operate(self, act: Callable[[Ledger], object]) -> None:
        """What a person does beside the dispatcher, whose process has ended where it has seen the end."""
        if self.finished:
            self.kill_dispatcher()
        with closing(SqliteLedger(self.path)) as ledger, suppress(UsageError):
            act(ledger)

    def extend(self, more: int, fuzzer: str = FUZZERS[0]) -> None:
        """A person stops the dispatcher and asks for so many further trials, perhaps of a further fuzzer."""
        self.kill_dispatcher()
        with closing(SqliteLedger(self.path)) as ledger, suppress(UsageError):
            known = [entry.job for entry in ledger.jobs()]
            first = len(known)
            added = [Job(repeat=n, fuzzer=fuzzer, target="t", program="p") for n in range(first, first + more)]
            fuzzers = sorted({*FUZZERS, *(job.fuzzer for job in known), fuzzer})
            request = CampaignRequest(
                source="campaign.hjson",
                text=file_text(first + more, fuzzers),
                tree="".join(fuzzers),
                timeout=RUN_SECONDS,
                jobs=(*added, *known),
                terms={"POLL": "5"},
            )
            extend(ledger, request, self.clock.now())

    def tick(self, seconds: float = TICK) -> None:
        """Let everybody who is alive do what is due, each time another one first, then let time pass."""
        self.ticks += 1
        workers = list(self.workers.items())
        first = self.ticks % max(1, len(workers))
        for name, process in workers[first:] + workers[:first]:
            if not process.frozen:
                try:
                    process.worker.step()
                except KilledError:
                    self.kill_worker(name)
                else:
                    if process.worker.finished:
                        self.leave(name)
        if self.dispatcher and not self.dispatcher.frozen:
            self._step_dispatcher(self.dispatcher)
        self.clock.advance(seconds)

    def _step_dispatcher(self, process: DispatcherProcess) -> None:
        try:
            for _ in range(3):
                if not process.dispatcher.finished:
                    process.dispatcher.step()
        except (KilledError, ReplacedError):
            self.kill_dispatcher()

    def run(self, until: Callable[[], bool], *, at_most: float) -> None:
        """Tick until a condition holds; AssertionError where it does not within so many seconds."""
        end = self.clock.monotonic() + at_most
        while not until():
            assert self.clock.monotonic() < end, self.story()
            self.tick()

    def finish(self) -> None:
        """Run to the end, and hold it against `check`."""
        self.run(lambda: self.finished, at_most=20 * RUN_SECONDS)
        self.check()
        self.run(lambda: not jobs_left(self), at_most=30)  # a worker may hold one, and is told to let it go

    # what is known

    def entries(self) -> list[JobEntry]:
        """All jobs of the ledger."""
        with self._ledger() as ledger:
            return list(ledger.jobs())

    def warnings(self) -> tuple[Warned, ...]:
        """What needs a person."""
        with self._ledger() as ledger:
            return ledger.warnings()

    def known_workers(self) -> tuple[WorkerEntry, ...]:
        """All workers of the ledger."""
        with self._ledger() as ledger:
            return ledger.workers()

    def _ledger(self) -> closing[SqliteLedger]:
        return closing(SqliteLedger.open_existing(self.path))

    @property
    def finished(self) -> bool:
        """Whether the dispatcher has seen the end."""
        return bool(self.dispatcher and self.dispatcher.dispatcher.finished)

    def all_starts(self) -> list[Assignment]:
        """Every start of every worker that ever was."""
        return self.starts + [start for process in self.workers.values() for start in process.station.starts]

    def check(self) -> None:
        """Every job has ended exactly once, in the result or as dead with a reason."""
        for entry in self.entries():
            if entry.state is JobState.DONE:
                assert self.disks.merged.get(entry.number) == entry.run, self.story()
                assert self.disks.merges[entry.number] == 1, self.story()
            else:
                assert entry.state is JobState.DEAD, self.story()
                assert entry.reason, self.story()
                assert entry.number not in self.disks.merged, self.story()
        clashes = self.clashes + [clash for process in self.workers.values() for clash in process.station.clashes]
        assert not clashes
        strangers = [run for process in self.workers.values() for run in process.station.strangers]
        assert not self.strangers + strangers, "started before its worker was set up for it"
        assert not self.disks.fetched

    def story(self) -> str:
        """What there is to see when something went wrong."""
        entries = "\n".join(
            f"{e.number} {e.state} {e.attempts} q{e.queue_id} {e.reason} {e.message}" for e in self.entries()
        )
        tubes = [(m.id, m.tube, m.state, m.body[:90]) for m in self.server.messages()]
        with self._ledger() as ledger:
            runs = "\n".join(f"{r.run} {r.state} {r.worker} {r.reason} {r.message}" for r in ledger.runs())
        return f"{entries}\n{runs}\n{tubes}\n{self.disks}"


def jobs_left(world: World) -> int:
    """Messages on `jobs`."""
    return len(world.server.messages(Tube.JOBS))
