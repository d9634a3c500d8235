"""What needs a person: said once, kept in the ledger until it is over."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from magma_remote.model.entries import JobState, RunState, Warned
from magma_remote.model.heartbeat import WorkerState
from magma_remote.model.outcome import Reason
from magma_remote.model.units import human_seconds
from magma_remote.runtime.logs import facts

if TYPE_CHECKING:
    from magma_remote.model.entries import WorkerEntry
    from magma_remote.ports import Clock, Ledger
    from magma_remote.runtime.dispatcher.book import Book

log = logging.getLogger(__name__)

UNABLE_SECONDS = 300.0
"""For so long a job that no live worker can run waits for one that can."""

_LOOK_SECONDS = 2.0
_STILL_SECONDS = 900.0
_ARRIVAL_SECONDS = 20.0  # for workers to find a dispatcher that has just started
_UNFINISHED = (JobState.WAITING, JobState.QUEUED, JobState.RUNNING)


class Watching:
    """Looks at workers and progress."""

    def __init__(self, ledger: Ledger, book: Book, clock: Clock, *, lost_after: float, timeout: float) -> None:
        self._ledger = ledger
        self._book = book
        self._clock = clock
        self._lost_after = lost_after
        self._still_after = timeout + _STILL_SECONDS
        self._since = clock.monotonic()
        self._heard: dict[str, tuple[float, float]] = {}
        self._looked_at = float("-inf")
        self._counts: object = None
        self._changed_at = clock.monotonic()
        self._unable_since: dict[str, float] = {}

    def look(self, troubles: dict[str, str], *, hearing: bool) -> None:
        """Find lost workers, jobs that nobody can run, and all else to warn of; `troubles` are others' findings.

        While we hear nobody (`hearing` is False) nobody is silent.
        """
        now = self._clock.monotonic()
        if not hearing:
            self._since = now
        if now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        with self._ledger.transaction():
            workers = [self._mark_lost(entry) for entry in self._ledger.workers()]
            live = [entry for entry in workers if not entry.lost]
            unable = self._unable(live)
            self._warn(troubles | self._findings(live) | {f"unable {f}": why for f, why in unable.items()})

    def _mark_lost(self, entry: WorkerEntry) -> WorkerEntry:
        """A worker may have spoken while we were away ourselves: silence counts from our own start on."""
        silent = self._silence(entry)
        if entry.lost:
            self._lose_runs(entry)
        if entry.lost or silent < self._lost_after:
            return entry
        log.warning("worker %s was not heard for %s", entry.heartbeat.name, human_seconds(silent))
        lost = replace(entry, lost=True)
        self._ledger.save_worker(lost)
        self._lose_runs(entry)
        return lost

    def _silence(self, entry: WorkerEntry) -> float:
        """Seconds since its last word came in, by a clock that nobody sets."""
        now = self._clock.monotonic()
        said_at, heard = self._heard.get(entry.worker, (None, now))
        if said_at != entry.heard_at:
            heard = now
            self._heard[entry.worker] = (entry.heard_at, now)
        return now - max(heard, self._since)

    def _lose_runs(self, entry: WorkerEntry) -> None:
        for run in self._ledger.runs(RunState.RUNNING, worker=entry.worker):
            self._book.lost(run, f"worker {entry.heartbeat.name} is lost")

    def _findings(self, live: list[WorkerEntry]) -> dict[str, str]:
        found = {}
        counts = self._ledger.counts()
        if counts != self._counts:
            self._counts, self._changed_at = counts, self._clock.monotonic()
        still = self._clock.monotonic() - self._changed_at
        unfit = [entry.heartbeat for entry in live if entry.heartbeat.state is WorkerState.UNFIT]
        if not live and self._clock.monotonic() - self._since >= _ARRIVAL_SECONDS:
            found["no worker"] = "no worker is there: start `magma-remote worker` on a host, or look at its log"
        elif live and len(unfit) == len(live):
            found["all unfit"] = "no worker can work: " + "; ".join(f"{beat.name}: {beat.detail}" for beat in unfit)
        elif still > self._still_after:
            found["no progress"] = "no job has started or ended for long: see what the workers say"
        for beat in unfit if len(unfit) < len(live) else ():
            found[f"unfit {beat.worker}"] = f"worker {beat.name} cannot work: {beat.detail}"
        for entry in live:
            if entry.heartbeat.state is WorkerState.READY and entry.heartbeat.detail:
                found[f"obstacle {entry.worker}"] = f"worker {entry.heartbeat.name}: {entry.heartbeat.detail}"
        return found

    def _unable(self, live: list[WorkerEntry]) -> dict[str, str]:
        """Fuzzers that no worker which is fit can run; after a while their jobs are dead."""
        if any(entry.heartbeat.state is not WorkerState.READY for entry in live):
            self._unable_since = {}  # one that is still preparing may be able
        fit = [entry.heartbeat for entry in live if entry.heartbeat.state is WorkerState.READY]
        reasons: defaultdict[str, list[str]] = defaultdict(list)
        for beat in fit:
            for inability in beat.cannot:
                reasons[inability.fuzzer].append(f"{beat.name}: {inability.why}")
        nobody = {fuzzer: "; ".join(whys) for fuzzer, whys in reasons.items() if len(whys) == len(fit)}
        now = self._clock.monotonic()
        self._unable_since = {fuzzer: self._unable_since.get(fuzzer, now) for fuzzer in nobody}
        for fuzzer, since in self._unable_since.items():
            if now - since > UNABLE_SECONDS:
                self._give_up(fuzzer, nobody[fuzzer])
        return {f: f"no worker that is there can run {f}: {why}" for f, why in nobody.items() if self._waits(f)}

    def _waits(self, fuzzer: str) -> bool:
        return any(entry.job.fuzzer == fuzzer for entry in self._ledger.jobs(*_UNFINISHED))

    def _give_up(self, fuzzer: str, why: str) -> None:
        for entry in self._ledger.jobs(JobState.WAITING, JobState.QUEUED):
            if entry.job.fuzzer == fuzzer:
                message = f"no worker could run it: {why}"
                self._ledger.save_job(replace(entry, state=JobState.DEAD, reason=Reason.UNABLE, message=message))
                log.error("job %s is dead: %s", entry.job, message, extra=facts(entry.job, number=entry.number))

    def _warn(self, found: dict[str, str]) -> None:
        before = {warned.key: warned for warned in self._ledger.warnings()}
        now = self._clock.now()
        after = [
            replace(before.get(key) or Warned(key=key, text=text, at=now), text=text) for key, text in found.items()
        ]
        for key in found.keys() - before.keys():
            log.warning("%s", found[key])
        for key in before.keys() - found.keys():
            log.info("over: %s", before[key].text)
        if after != list(before.values()):
            self._ledger.save_warnings(sorted(after, key=lambda warned: warned.at))
