"""A dispatcher and workers on a queue and machines in memory, on one clock: everything can die at any call."""

from __future__ import annotations

from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from magma_remote.adapters.memory_clock import MemoryClock
from magma_remote.adapters.memory_queue import MemoryQueue, MemoryServer
from magma_remote.adapters.memory_station import MemoryMachine, MemoryStation
from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.errors import CorruptError, TransferError
from magma_remote.model.entries import CampaignEntry, JobEntry, JobState
from magma_remote.model.jobs import Job
from magma_remote.model.messages import Tube
from magma_remote.runtime.dispatcher import Dispatcher, Seat
from magma_remote.runtime.telling import Identity
from magma_remote.runtime.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from magma_remote.model.entries import RunEntry, WorkerEntry
    from magma_remote.ports import Assignment, Kept

CONFIG = "c0ffee"
TTR = 120
RUN_SECONDS = 300.0
TICK = 5.0


class KilledError(BaseException):
    """What SIGKILL is to a process: no code of its own runs after it."""


@dataclass
class Fuse:
    """Kills its process at the call that brings it to 0; None burns for ever."""

    left: int | None = None

    def burn(self) -> None:
        """One call more."""
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise KilledError


class MortalQueue(MemoryQueue):
    """A queue whose process may be killed before or after any call."""

    def __init__(self, server: MemoryServer, fuse: Fuse) -> None:
        super().__init__(server)
        self._fuse = fuse

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name in {"put", "reserve", "take", "delete", "release", "touch", "peek", "peek_ready", "stats", "bury"}:
            fuse: Fuse = super().__getattribute__("_fuse")
            return _mortal(value, fuse)
        return value


def _mortal(call: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    def mortal(*args: Any, **kwargs: Any) -> Any:
        fuse.burn()
        answer = call(*args, **kwargs)
        fuse.burn()
        return answer

    return mortal


@dataclass
class Disks:
    """What outlives all processes: workers' results, the dispatcher's TEMP_RESULTS and WORKDIR."""

    kept: dict[str, dict[str, Kept | None]] = field(default_factory=dict)
    fetched: set[str] = field(default_factory=set)
    merged: dict[int, str] = field(default_factory=dict)
    merges: Counter[int] = field(default_factory=Counter)
    unreachable: set[str] = field(default_factory=set)
    corrupt: set[str] = field(default_factory=set)


class MemoryResults:
    """`Results` over Disks."""

    def __init__(self, disks: Disks, fuse: Fuse) -> None:
        self._disks = disks
        self._fuse = fuse

    def fetch(self, run: RunEntry) -> None:
        """See `Results.fetch`."""
        self._fuse.burn()
        if run.worker in self._disks.unreachable or not self._disks.kept.get(run.worker, {}).get(run.run):
            raise TransferError(f"nothing at {run.worker} for {run.run}")
        if run.run in self._disks.corrupt:
            raise CorruptError(f"{run.run} is not as it was")
        self._disks.fetched.add(run.run)
        self._fuse.burn()

    def merge(self, run: RunEntry, job: Job) -> None:  # noqa: ARG002 - the protocol's signature
        """See `Results.merge`."""
        self._fuse.burn()
        there = self._disks.merged.get(run.number)
        if there is None and run.run not in self._disks.fetched:
            raise CorruptError(f"{run.run} is neither here nor there")
        if there not in {None, run.run}:
            raise CorruptError(f"{run.number} has a result of {there} already")
        if there is None:
            self._disks.merges[run.number] += 1
        self._disks.merged[run.number] = run.run
        self._disks.fetched.discard(run.run)
        self._fuse.burn()

    def discard(self, run: RunEntry) -> None:
        """See `Results.discard`."""
        self._disks.fetched.discard(run.run)

    def finish(self) -> None:
        """See `Results.finish`."""
        assert not self._disks.fetched


class SlowCrew:
    """A `Crew` that does a task so many looks after it came."""

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._tasks: dict[str, tuple[int, Callable[[], None]]] = {}

    def submit(self, key: str, task: Callable[[], None], *, first: bool = False) -> None:  # noqa: ARG002 - as the port
        """See `Crew.submit`."""
        assert key not in self._tasks
        self._tasks[key] = (self._patience, task)

    def ended(self) -> list[tuple[str, Exception | None]]:
        """See `Crew.ended`."""
        told: list[tuple[str, Exception | None]] = []
        for key, (left, task) in list(self._tasks.items()):
            if left:
                self._tasks[key] = (left - 1, task)
                continue
            del self._tasks[key]
            error: Exception | None = None
            try:
                task()
            except Exception as raised:  # noqa: BLE001 - the protocol hands it over
                error = raised
            told.append((key, error))
        return told

    def wait(self, seconds: float) -> None:
        """See `Crew.wait`: whoever has the clock advances it."""

    def close(self) -> None:
        """See `Crew.close`."""


@dataclass
class Process:
    """A process that may be frozen, or about to be killed."""

    queue: MortalQueue
    fuse: Fuse
    frozen: bool = False


@dataclass
class WorkerProcess(Process):
    """A worker."""

    worker: Worker = field(kw_only=True)
    station: MemoryStation = field(kw_only=True)


@dataclass
class DispatcherProcess(Process):
    """A dispatcher."""

    dispatcher: Dispatcher = field(kw_only=True)
    ledger: SqliteLedger = field(kw_only=True)


class World:
    """Workers are named by numbers; `fails` says which runs go wrong."""

    def __init__(self, folder: Path, jobs: int, *, patience: int = 0, ttr: int = TTR) -> None:
        self.clock = MemoryClock()
        self.server = MemoryServer(self.clock)
        self.disks = Disks()
        self.patience = patience
        self.ttr = ttr
        self.workers: dict[str, WorkerProcess] = {}
        self.dispatcher: DispatcherProcess | None = None
        self.machine = MemoryMachine(prepare_seconds=5.0, run_seconds=RUN_SECONDS)
        self.machines: dict[str, MemoryMachine] = {}
        self.starts: list[Assignment] = []
        self.clashes: list[tuple[str, str]] = []
        self.path = folder / "ledger.sqlite"
        ledger = SqliteLedger(self.path)
        ledger.save_campaign(
            CampaignEntry(
                config_id=CONFIG,
                source="campaign.hjson",
                text="{}",
                tree="0" * 64,
                since=self.clock.now(),
                timeout=RUN_SECONDS,
                max_attempts=3,
            )
        )
        ledger.add_jobs(
            JobEntry(number=n, job=Job(repeat=n, fuzzer=f"f{n % 3}", target="t", program="p")) for n in range(jobs)
        )
        ledger.close()

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

    # time

    def tick(self, seconds: float = TICK) -> None:
        """Let everybody who is alive do what is due, then let time pass."""
        for name, process in list(self.workers.items()):
            if not process.frozen:
                try:
                    process.worker.step()
                except KilledError:
                    self.kill_worker(name)
        if self.dispatcher and not self.dispatcher.frozen:
            self._step_dispatcher(self.dispatcher)
        self.clock.advance(seconds)

    def _step_dispatcher(self, process: DispatcherProcess) -> None:
        try:
            for _ in range(3):
                if not process.dispatcher.finished:
                    process.dispatcher.step()
        except KilledError:
            self.kill_dispatcher()

    def run(self, until: Callable[[], bool], *, at_most: float) -> None:
        """Tick until a condition holds; AssertionError where it does not within so many seconds."""
        end = self.clock.monotonic() + at_most
        while not until():
            assert self.clock.monotonic() < end, self.story()
            self.tick()

    # what is known

    def entries(self) -> list[JobEntry]:
        """All jobs of the ledger."""
        ledger = SqliteLedger.open_existing(self.path)
        try:
            return list(ledger.jobs())
        finally:
            ledger.close()

    def known_workers(self) -> tuple[WorkerEntry, ...]:
        """All workers of the ledger."""
        with closing(SqliteLedger.open_existing(self.path)) as ledger:
            return ledger.workers()

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
        assert not self.disks.fetched

    def story(self) -> str:
        """What there is to see when something went wrong."""
        entries = "\n".join(
            f"{e.number} {e.state} {e.attempts} q{e.queue_id} {e.reason} {e.message}" for e in self.entries()
        )
        tubes = [(m.id, m.tube, m.state, m.body[:90]) for m in self.server.messages()]
        ledger = SqliteLedger.open_existing(self.path)
        runs = "\n".join(f"{r.run} {r.state} {r.worker} {r.reason} {r.message}" for r in ledger.runs())
        ledger.close()
        return f"{entries}\n{runs}\n{tubes}\n{self.disks}"


def jobs_left(world: World) -> int:
    """Messages on `jobs`."""
    return len(world.server.messages(Tube.JOBS))
