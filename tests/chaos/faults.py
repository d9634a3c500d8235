"""Faults of real processes, at moments drawn beforehand; several may last at once."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from docker.errors import APIError

from tests.support.processes.quickrun import CPUS

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from tests.support.processes.cluster import Cluster, Program
    from tests.support.processes.command import Ended

    Step: TypeAlias = Callable[[], object]

TTR = 10
DISPATCHER = "dispatcher"
WORKERS = ("w0", "w1")
LEAVES = 10.0  # seconds
HANGS = 10.0  # seconds more where the queue is asked twice and does not answer
_NO_QUEUE = "cannot be reached"
# The longest that it lasts, in seconds
FAULTS = {
    "kill worker": 6.0,
    "kill dispatcher": 6.0,
    "kill queue": 4.0,
    "wipe queue": 0.0,
    "freeze queue": 15.0,
    "kill container": 0.0,
    "freeze worker": 2.0 * TTR,
    "freeze dispatcher": 2.0 * TTR,
    "tell worker to leave": 6.0,
}


def _nothing() -> None:
    """What is over at once."""


@dataclass
class Faults:
    """What befalls a campaign: `draw` plans, `happen` does, `end` mends what lasts and waits for the end."""

    cluster: Cluster
    plan: list[tuple[float, str, Step]] = field(default_factory=list)
    frozen: set[str] = field(default_factory=set)
    queue_is_down: bool = False
    queue_is_frozen: bool = False

    def start(self, name: str) -> None:
        """Start a dispatcher or a worker by the same command as before."""
        if name == DISPATCHER:
            self.cluster.start_dispatcher(self.cluster.folder / "campaign.hjson", TTR=TTR)
        else:
            self.cluster.start_worker(name, CPUS[WORKERS.index(name)])

    def draw(self, chance: random.Random, faults: Sequence[str], span: float) -> None:
        """Plan these faults for moments of the next `span` seconds."""
        for fault in faults:
            act, _, what = fault.partition(" ")
            name = chance.choice(WORKERS) if what.startswith("worker") else what
            moment, lasting = chance.uniform(0, span), chance.uniform(0, FAULTS[fault])
            if fault == "freeze worker":
                lasting = TTR + lasting / 2
            begin, end = self._both(act, name)
            self.plan.append((moment, f"{act} {name}", begin))
            self.plan.append((moment + lasting, f"{act} {name} is over", end))
        self.plan.sort(key=lambda step: step[0])

    def _both(self, act: str, name: str) -> tuple[Step, Step]:
        """What begins a fault and what ends it."""
        restart: Step = partial(self._restart, name)
        special: dict[str, tuple[Step, Step]] = {
            "kill queue": (self._stop_queue, self._start_queue),
            "wipe queue": (self._wipe_queue, _nothing),
            "freeze queue": (self._freeze_queue, self._thaw_queue),
            "kill container": (self._kill_container, _nothing),
        }
        known: dict[str, tuple[Step, Step]] = {
            f"kill {name}": (partial(self._kill, name), restart),
            f"freeze {name}": (partial(self._freeze, name), partial(self._thaw, name)),
            f"tell {name}": (partial(self._leave, name), restart),
        }
        return special.get(f"{act} {name}") or known[f"{act} {name}"]

    def happen(self) -> None:
        """Do what is planned, each at its moment; what would begin after the end does not."""
        began = time.monotonic()
        for moment, what, step in self.plan:
            time.sleep(max(0.0, began + moment - time.monotonic()))
            if self._is_over and not what.endswith("over"):
                print(f"{moment:6.2f} s: {what}, but the campaign has ended")
                continue
            print(f"{moment:6.2f} s: {what}")
            step()

    def end(self, deadline: float) -> Ended:
        """Mend everything, and wait for the dispatcher's end."""
        self._start_queue()
        self._thaw_queue()
        for name in (DISPATCHER, *WORKERS):
            self._thaw(name)
            self._restart(name)
        ended = self._dispatcher.end(deadline)
        while not self._is_over and _NO_QUEUE in ended.output:
            self.start(DISPATCHER)
            ended = self._dispatcher.end(deadline)
        return ended

    @property
    def _dispatcher(self) -> Program:
        return self.cluster.program(DISPATCHER)

    @property
    def _is_over(self) -> bool:
        """Whether the dispatcher has seen the end; one that finds no queue when it starts leaves before."""
        return self._dispatcher.process.poll() in {0, 1} and "\nEnded: " in self._dispatcher.output

    def _kill(self, name: str) -> None:
        program = self.cluster.program(name)
        if program.runs:
            self.frozen.discard(name)
            program.kill()

    def _leave(self, name: str) -> None:
        program = self.cluster.program(name)
        if name in self.frozen or not program.runs:
            return
        program.signal(signal.SIGTERM)
        ended = program.end(LEAVES + HANGS * self.queue_is_frozen)
        assert ended.code in {0, -signal.SIGTERM}, ended.output  # Python's own end before we listen
        if ended.code == 0:
            assert not self.cluster.containers(name), ended.output

    def _restart(self, name: str) -> None:
        if not self.cluster.program(name).runs and not (name == DISPATCHER and self._is_over):
            self.start(name)

    def _freeze(self, name: str) -> None:
        if self.cluster.program(name).runs:
            self.frozen.add(name)
            self.cluster.program(name).signal(signal.SIGSTOP)

    def _thaw(self, name: str) -> None:
        if name in self.frozen:
            self.frozen.discard(name)
            self.cluster.program(name).signal(signal.SIGCONT)

    def _stop_queue(self) -> None:
        if not self.queue_is_down:
            self.queue_is_down, self.queue_is_frozen = True, False
            self.cluster.server.kill()

    def _start_queue(self) -> None:
        if self.queue_is_down:
            self.queue_is_down = False
            self.cluster.server.start()

    def _wipe_queue(self) -> None:
        if not self.queue_is_down:
            self.queue_is_frozen = False
            self.cluster.server.wipe()

    def _freeze_queue(self) -> None:
        if not self.queue_is_down:
            self.queue_is_frozen = True
            self.cluster.server.freeze()

    def _thaw_queue(self) -> None:
        self.queue_is_frozen = False
        if not self.queue_is_down:
            self.cluster.server.thaw()

    def _kill_container(self) -> None:
        for name in WORKERS:
            for container in self.cluster.containers(name, running=True)[:1]:
                with suppress(APIError):  # it has ended by itself
                    container.kill()
                    return
