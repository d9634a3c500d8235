"""A campaign of trials that take no time: a dispatcher and workers, each in a process of its own as it is deployed.

Cores, queue, ledger, threads and logs are the product's; only the machine and the results are none.
"""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from magma_remote.adapters.beanstalk import BeanstalkQueue
from magma_remote.adapters.clock import SystemClock
from magma_remote.adapters.crew import ThreadCrew
from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.model.campaign_request import CampaignRequest
from magma_remote.model.entries import JobState
from magma_remote.model.jobs import Job
from magma_remote.model.messages import Place
from magma_remote.ports import Kept, Prepared, RunEnded
from magma_remote.runtime.dispatcher.dispatcher import Dispatcher, Seat
from magma_remote.runtime.dispatcher.opening import begin
from magma_remote.runtime.logs import open_log
from magma_remote.runtime.worker.telling import Identity
from magma_remote.runtime.worker.worker import Worker

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Event

    from magma_remote.model.entries import RunEntry
    from magma_remote.model.messages import Broadcast
    from magma_remote.ports import Assignment

_PROGRAMS = 50
_FETCHES = 4  # as dispatcher.hjson has it where it says nothing
_DEADLINE = 300.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A campaign's seconds, its dispatcher's peak memory in MB and CPU seconds, and how many jobs are done."""

    seconds: float
    peak: float
    cpu: float
    done: int


def make_jobs(count: int) -> tuple[Job, ...]:
    """A campaign's jobs, with names as long as Magma's."""
    return tuple(
        Job(
            repeat=number // _PROGRAMS,
            fuzzer="aflplusplus",
            target="libtiff",
            program=f"tiff_read_rgba_fuzzer_{number % _PROGRAMS}",
            args="@@ -s 1024",
        )
        for number in range(count)
    )


def run_campaign(address: str, folder: Path, count: int, *, workers: int, slots: int) -> Outcome:
    """Run one from its start to its end. Processes are up, and modules imported, before the clock runs."""
    context = multiprocessing.get_context("spawn")
    stop, (ours, theirs) = context.Event(), context.Pipe()
    shares = [slots // workers + (index < slots % workers) for index in range(workers)]
    each = [
        context.Process(target=_work, args=(address, folder / f"worker-{index}.jsonl", index, share, stop))
        for index, share in enumerate(shares)
    ]
    processes = [context.Process(target=_dispatch, args=(address, folder, count, theirs)), *each]
    for process in processes:
        process.start()
    try:
        theirs.close()
        outcome = _received(ours)
    finally:
        stop.set()
        for process in processes:
            process.join(10)
            process.kill()
    return outcome


def _received(connection: Connection) -> Outcome:
    assert connection.poll(_DEADLINE), f"no end within {_DEADLINE:g} s"
    outcome: Outcome = connection.recv()
    return outcome


def _dispatch(address: str, folder: Path, count: int, told: Connection) -> None:
    request = CampaignRequest(source="bench.hjson", text="{}", tree="0" * 64, timeout=1.0, jobs=make_jobs(count))
    queue, crew = BeanstalkQueue(address), ThreadCrew(_FETCHES)
    with open_log(folder / "dispatcher.jsonl"):
        begun, cpu = time.monotonic(), time.process_time()
        ledger = SqliteLedger(folder / "ledger.sqlite")
        begin(ledger, request, time.time())
        dispatcher = Dispatcher(
            Seat(host="bench", workdir=str(folder)),
            ledger=ledger,
            queue=queue,
            results=NoResults(),
            crew=crew,
            clock=SystemClock(),
        )
        dispatcher.open()
        dispatcher.run()
        seconds, cpu = time.monotonic() - begun, time.process_time() - cpu
        told.send(Outcome(seconds=seconds, cpu=cpu, peak=_peak(), done=ledger.counts()[JobState.DONE]))
    crew.close()
    ledger.close()
    queue.close()


def _work(address: str, path: Path, index: int, slots: int, stop: Event) -> None:
    queue, name = BeanstalkQueue(address), f"worker-{index}"
    with open_log(path):
        while queue.peek_ready("broadcast") is None and not stop.is_set():  # a worker alone looks every 5 s
            time.sleep(0.001)
        identity = Identity(worker=name, name=name, host=name, version="0")
        worker = Worker(identity, queue, InstantStation(slots), SystemClock())
        worker.run(until=stop.is_set)
        worker.leave()


def _peak() -> float:
    """MB of memory that this process has had at its peak."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM:"))


class NoResults:
    """`Results` that are there at once, and nowhere."""

    def fetch(self, run: RunEntry) -> None:
        """See `Results.fetch`."""

    def merge(self, run: RunEntry, job: Job) -> None:
        """See `Results.merge`."""

    def discard(self, run: RunEntry) -> None:
        """See `Results.discard`."""

    def finish(self) -> None:
        """See `Results.finish`."""


class InstantStation:
    """A `Station` whose runs are complete as soon as they start."""

    def __init__(self, slots: int) -> None:
        self._sets = tuple((cpu,) for cpu in range(slots))
        self._news: list[Prepared | RunEnded] = []
        self._kept: dict[str, Kept] = {}
        self._place = Place(folder="", workdirs="/srv/magma", token="0" * 32, host="192.0.2.7", port=22, user="magma")

    def prepare(self, broadcast: Broadcast) -> None:
        """See `Station.prepare`."""
        self._news.append(Prepared(config_id=broadcast.config_id, sets=self._sets))

    def serves(self, broadcast: Broadcast, before: Broadcast) -> bool:
        """See `Station.serves`."""
        return True

    def progress(self) -> str:
        """See `Station.progress`."""
        return ""

    def obstacle(self) -> str:
        """See `Station.obstacle`."""
        return ""

    def start(self, assignment: Assignment) -> None:
        """See `Station.start`."""
        now = time.time()
        place = replace(self._place, folder=f"/srv/magma/workdir_{assignment.config_id}_{assignment.run}")
        ended = RunEnded(run=assignment.run, reason=None, place=place, manifest="0" * 64, started_at=now)
        self._kept[assignment.run] = Kept(assignment=assignment, ended=ended)
        self._news.append(ended)

    def stop(self, run: str) -> None:
        """See `Station.stop`."""

    def status(self, run: str) -> tuple[str, float, tuple[str, ...]]:
        """See `Station.status`."""
        return "fuzzing", 0.0, ()

    def news(self) -> list[Prepared | RunEnded]:
        """See `Station.news`."""
        told, self._news = self._news, []
        return told

    def wait(self, seconds: float) -> None:
        """See `Station.wait`."""
        if not self._news:
            time.sleep(seconds)

    def kept(self) -> tuple[Kept, ...]:
        """See `Station.kept`."""
        return tuple(self._kept.values())

    def forget(self, run: str) -> None:
        """See `Station.forget`."""
        self._kept.pop(run, None)

    def release(self) -> None:
        """See `Station.release`."""
