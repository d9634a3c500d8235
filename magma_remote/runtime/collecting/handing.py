"""What is left on workers is handed to the dispatcher that runs: the ledger is its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from magma_remote.model.entries import JobState, RunState
from magma_remote.model.messages import Tube
from magma_remote.runtime.collecting.leftovers import is_reported, is_wanted, left_there, worker_names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from magma_remote.model.entries import JobEntry, RunEntry
    from magma_remote.ports import Clock, Ledger, Queue
    from magma_remote.runtime.collecting.leftovers import Left

PATIENCE = 120.0
"""Seconds without any change after which no more is waited for."""

_LOOK_SECONDS = 0.5
_FETCHES = 3  # failed ones, after which a result does not come soon
_OVER = {RunState.FAILED, RunState.DROPPED}


@dataclass(frozen=True, kw_only=True)
class _Awaited:
    """A run that is to be settled, as the ledger had it when it was handed over."""

    name: str
    number: int
    run: str
    before: RunEntry | None


class Handing:
    """`size` tells how much of what is awaited has come by now, in any unit: it grows while a fetch goes on.

    Afterwards `fetched` and `why` are as those of Collecting.
    """

    def __init__(
        self,
        ledger: Ledger,
        queue: Queue,
        clock: Clock,
        *,
        tell: Callable[[str], None],
        size: Callable[[], int],
        patience: float = PATIENCE,
    ) -> None:
        self.fetched: list[JobEntry] = []
        self.why: dict[int, tuple[str, str]] = {}
        self._ledger = ledger
        self._queue = queue
        self._clock = clock
        self._tell = tell
        self._size = size
        self._patience = patience
        self._awaited: list[_Awaited] = []

    def hand(self, lefts: Sequence[Left]) -> None:
        """Put the feedback of what the ledger does not know to be complete; await that, and what it knows."""
        names = worker_names(self._ledger)
        for run in self._ledger.runs(RunState.REPORTED):
            job = self._ledger.job(run.number)
            if job and not job.state.settled:
                name = names.get(run.worker, run.worker)
                self._awaited.append(_Awaited(name=name, number=run.number, run=run.run, before=run))
        new = [left for left in lefts if is_wanted(self._ledger, left) and not is_reported(self._ledger, _run(left))]
        for left in new:
            told = left.feedback
            before = self._ledger.run(told.run)
            self._queue.put(Tube.FEEDBACK, told.encode())
            self._awaited.append(_Awaited(name=left.name, number=told.number, run=told.run, before=before))
        for name in dict.fromkeys(left.name for left in new):
            count = sum(left.name == name for left in new)
            self._tell(f"{left_there(name, count)}, handed to the dispatcher that runs here")

    def wait(self, until: Callable[[], bool]) -> bool:
        """Until all is settled (True), `until` says so, or nothing has changed for long; `why` says of what is not."""
        seen: object = None
        since, told = self._clock.monotonic(), -1
        while left := self._left():
            if len(left) != told:
                told = len(left)
                self._tell(f"the dispatcher has {told} of {len(self._awaited)} results still to fetch …")
            now = [(self._ledger.job(awaited.number), _state(run)) for awaited, run in left], self._size()
            if now != seen:
                seen, since = now, self._clock.monotonic()
            stuck = all(run and run.fetches >= _FETCHES for _, run in left)
            if stuck or until() or self._clock.monotonic() - since >= self._patience:
                break
            self._clock.sleep(_LOOK_SECONDS)
        self._conclude()
        return not left

    def _left(self) -> list[tuple[_Awaited, RunEntry | None]]:
        """What is not settled, with the ledger's entry of today."""
        found = [(awaited, self._ledger.run(awaited.run)) for awaited in self._awaited]
        return [(awaited, run) for awaited, run in found if not self._is_settled(awaited, run)]

    def _is_settled(self, awaited: _Awaited, run: RunEntry | None) -> bool:
        job = self._ledger.job(awaited.number)
        over = run is not None and run != awaited.before and run.state in _OVER
        return over or (job is not None and job.state is JobState.DONE)

    def _conclude(self) -> None:
        done: dict[int, JobEntry] = {}
        for awaited in self._awaited:
            job, run = self._ledger.job(awaited.number), self._ledger.run(awaited.run)
            if job is None:
                continue
            if job.state is JobState.DONE:
                done[job.number] = job
            elif run and run != awaited.before and run.state in _OVER:
                self.why[job.number] = (run.reason.value if run.reason else run.state.value, run.message)
            else:
                why = "the dispatcher that runs has not fetched it yet: `magma-remote status` says what is in the way"
                self.why[job.number] = ("not_fetched", f"complete on {awaited.name}; {why}")
        self.fetched = list(done.values())


def _run(left: Left) -> str:
    return left.feedback.run


def _state(run: RunEntry | None) -> RunState | None:
    return run.state if run else None
