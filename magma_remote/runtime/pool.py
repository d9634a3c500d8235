"""Runs trials side by side, each on CPUs of its own, first come first served."""

from __future__ import annotations

import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from magma_remote.errors import EngineError
from magma_remote.model.outcome import Reason
from magma_remote.model.result import Phase, Result
from magma_remote.model.schedule import makespan
from magma_remote.ports import Running
from magma_remote.runtime.leases import CpuLeases
from magma_remote.runtime.patience import patiently
from magma_remote.runtime.trial.trial import Trial
from magma_remote.runtime.trial.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from magma_remote.model.cpus import Layout
    from magma_remote.model.jobs import Job
    from magma_remote.ports import Reporter
    from magma_remote.runtime.images.images import Image
    from magma_remote.runtime.leases import Lease
    from magma_remote.runtime.trial.trial import Site


class Pool:
    """One thread a running trial; this object's own thread starts them, tells of them and ends them."""

    def __init__(self, site: Site, layout: Layout, reporter: Reporter, *, kept: int = 0) -> None:
        self._site = site
        self._layout = layout
        self._reporter = reporter
        self._kept = kept
        self._leases = CpuLeases(layout.sets)
        self._inbox: SimpleQueue[Result | BaseException | str] = SimpleQueue()
        self._running: dict[Job, Trial] = {}
        self._threads: dict[Job, threading.Thread] = {}
        self._pending: list[Job] = []
        self._ends: float | None = None
        self._watch = Watch(site.campaign)
        self._tick = self._watch.tick

    def stop(self, why: str) -> None:
        """End all trials and start no more; safe in a signal handler."""
        self._inbox.put(why)

    def run(self, jobs: Mapping[Job, Image]) -> dict[Job, Result]:
        """Run each job once on its image. Whatever ends this early has ended its containers first."""
        self._pending = list(jobs)
        results: dict[Job, Result] = {}
        self._announce()
        try:
            while self._pending or self._running:
                self._start(jobs)
                self._look()  # after the start: a free CPU waits for nothing, and what is shown is what runs
                for result in self._news():
                    results[result.job] = result
                    self._reporter.ended(result)
        finally:
            self._end_all()
        return results

    def _announce(self) -> None:
        self._reporter.planned(
            trials=len(self._pending), kept=self._kept, slots=len(self._layout.sets), seconds=self._left()
        )

    def _left(self) -> float:
        """Seconds until the last trial's end, overhead left out; reckoned anew when a trial starts or ends."""
        now = time.monotonic()
        if self._ends is None:
            self._ends = now + self._reckon()
        return max(0.0, self._ends - now)

    def _reckon(self) -> float:
        timeout = self._site.campaign.timeout.seconds
        busy = []
        for cpus in self._layout.sets:
            holders = [trial for trial in self._running.values() if set(cpus) <= set(trial.cpus)]
            busy.append(max((max(0.0, timeout - self._spent(trial)) for trial in holders), default=0.0))
        sizes = [len(cpus) for cpus in self._layout.sets]
        return makespan([self._demand(job) for job in self._pending], sizes, timeout, busy=busy)

    def _spent(self, trial: Trial) -> float:
        if trial.phase in {Phase.STARTING, Phase.PRUNING}:
            return 0.0
        ended = trial.phase is not Phase.FUZZING
        return float("inf") if ended else time.monotonic() - trial.phase_since

    def _demand(self, job: Job) -> int:
        return self._site.campaign.workers_for(job.fuzzer)

    def _start(self, jobs: Mapping[Job, Image]) -> None:
        while self._pending and (lease := self._leases.try_lease(self._demand(self._pending[0]))):
            job = self._pending.pop(0)
            trial = Trial(self._site, job, lease.cpus, jobs[job])
            self._running[job] = trial
            self._ends = None
            self._reporter.started(job, lease.cpus)
            self._threads[job] = threading.Thread(target=self._work, args=(trial, lease), name=str(job))
            self._threads[job].start()

    def _work(self, trial: Trial, lease: Lease) -> None:
        """Body of a trial's thread: its news is the last thing that it does."""
        news: Result | BaseException
        try:
            with lease:
                news = trial.run()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for the news
            news = error
        self._inbox.put(news)

    def _news(self) -> list[Result]:
        """What came in: Results of ended trials, or of those that a stop or a dead engine keeps from running."""
        try:
            news = self._inbox.get(timeout=self._tick)
        except Empty:
            return []
        if isinstance(news, BaseException):
            raise news
        if isinstance(news, str):
            return self._halt(Reason.INTERRUPTED, f"stopped by {news}")
        del self._running[news.job]
        self._ends = None
        if news.reason is Reason.ENGINE and (gone := self._engine_is_gone()):
            return [news, *self._halt(Reason.ENGINE, gone)]
        return [news]

    def _engine_is_gone(self) -> str:
        try:
            patiently(self._site.runner.check)
        except EngineError as error:
            return str(error)
        return ""

    def _halt(self, reason: Reason, why: str) -> list[Result]:
        self._reporter.note(f"Ending {len(self._running)} running trials, {len(self._pending)} are not started: {why}")
        for trial in self._running.values():
            trial.stop()
        skipped = [Result(job=job, reason=reason, message=f"not started: {why}") for job in self._pending]
        self._pending = []
        return skipped

    def _look(self) -> None:
        self._watch.look(self._running.values())
        now = time.monotonic()
        states = [
            Running(
                job=job,
                cpus=trial.cpus,
                phase=trial.phase,
                since=now - trial.phase_since,
                bugs=self._watch.bugs(trial),
            )
            for job, trial in self._running.items()
        ]
        self._reporter.tick(states, left=self._left())

    def _end_all(self) -> None:
        """Only after an error is anything left to end here."""
        for trial in self._running.values():
            trial.stop()
        for job in self._running:
            self._threads[job].join()
