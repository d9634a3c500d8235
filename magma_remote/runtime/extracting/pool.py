"""Extracts trials side by side, each on a CPU set of its own."""

from __future__ import annotations

import threading
import time
from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from magma_remote.errors import EngineGoneError
from magma_remote.runtime.affinity import stay_on
from magma_remote.runtime.extracting.trial import TrialExtraction
from magma_remote.runtime.leases import CpuLeases
from magma_remote.runtime.patience import patiently

if TYPE_CHECKING:
    from collections.abc import Sequence

    from magma_remote.model.cpus import CpuSet
    from magma_remote.model.experiment import Trial
    from magma_remote.model.pocs import Ended
    from magma_remote.ports import ExtractReporter
    from magma_remote.runtime.extracting.trial import Site, Task
    from magma_remote.runtime.leases import Lease

TICK = 1.0


class ExtractPool:
    """One thread a trial, on CPUs that it leases; this object's own thread starts them and tells of them."""

    def __init__(self, site: Site, sets: Sequence[CpuSet], reporter: ExtractReporter) -> None:
        self._site = site
        self._reporter = reporter
        self._leases = CpuLeases(sets)
        self._inbox: SimpleQueue[Ended | BaseException | str] = SimpleQueue()
        self._running: dict[Trial, TrialExtraction] = {}
        self._threads: list[threading.Thread] = []
        self._pending: deque[Task] = deque()
        self.stopped = ""
        """Which signal ended it early; empty where none did."""

    def stop(self, why: str) -> None:
        """End all trials and start no more; safe in a signal handler."""
        self._inbox.put(why)

    def run(self, tasks: Sequence[Task]) -> dict[Trial, Ended]:
        """Each trial once; those that a stop kept from being started are not in it.

        EngineGoneError where the engine stays away. Whatever ends this early has ended its containers first.
        """
        self._pending = deque(tasks)
        ended: dict[Trial, Ended] = {}
        began = time.monotonic()
        try:
            while self._pending or self._running:
                self._start()
                if news := self._news():
                    ended[news.trial] = news
                    self._reporter.extracted(news)
                self._tell(len(ended), len(tasks), time.monotonic() - began)
        finally:
            for trial in self._running.values():
                trial.stop()
            for thread in self._threads:
                thread.join()
        return ended

    def _start(self) -> None:
        while self._pending and (lease := self._leases.try_lease(1)):
            task = self._pending.popleft()
            trial = TrialExtraction(self._site, task, lease.cpus)
            self._running[task.trial] = trial
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._threads.append(threading.Thread(target=self._work, args=(trial, lease), name=str(task.job)))
            self._threads[-1].start()

    def _work(self, trial: TrialExtraction, lease: Lease) -> None:
        """Body of a trial's thread, which unpacks on the trial's own CPUs: its news is the last thing that it does."""
        news: Ended | BaseException
        try:
            with lease as cpus:
                stay_on(cpus)
                news = self._patiently(trial)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for the news
            news = error
        self._inbox.put(news)

    def _patiently(self, trial: TrialExtraction) -> Ended:
        """An engine that restarts costs a trial its container: it is done once more."""
        try:
            return trial.run()
        except EngineGoneError:
            patiently(self._site.runner.check)
            return trial.run()

    def _news(self) -> Ended | None:
        try:
            news = self._inbox.get(timeout=TICK)
        except Empty:
            return None
        if isinstance(news, BaseException):
            raise news
        if isinstance(news, str):
            self._halt(news)
            return None
        del self._running[news.trial]
        return news

    def _halt(self, why: str) -> None:
        self.stopped = self.stopped or why
        self._reporter.note(f"Stopped by {why}: ending {len(self._running)}, {len(self._pending)} are not started")
        self._pending.clear()
        for trial in self._running.values():
            trial.stop()

    def _tell(self, done: int, total: int, spent: float) -> None:
        left = spent * (total - done) / done if done else None
        self._reporter.progress(tuple(self._running), done=done, total=total, left=left)
