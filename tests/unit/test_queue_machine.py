"""Whatever dies in whatever order: every job ends exactly once, in the result or as dead with a reason."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from magma_remote.adapters.memory_station import MemoryMachine
from magma_remote.model.messages import Tube
from magma_remote.model.outcome import Reason
from tests.worlds import RUN_SECONDS, TTR, World, jobs_left

WORKERS = ("w0", "w1", "w2")
WORKER = st.sampled_from(WORKERS)
CALLS = st.integers(0, 40)


class Campaign(RuleBasedStateMachine):
    """Rules are what happens to a campaign; `teardown` mends all and lets it end."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="campaign-", dir="/dev/shm")
        self.world = World(Path(self.folder.name), 5)

    @initialize(
        patience=st.integers(0, 30), failing=st.sets(st.tuples(st.integers(0, 4), st.integers(1, 3)), max_size=4)
    )
    def begin(self, patience: int, failing: set[tuple[int, int]]) -> None:
        self.world.patience = patience
        self.world.machine = MemoryMachine(
            prepare_seconds=5.0,
            run_seconds=RUN_SECONDS,
            stop_seconds=3.0,
            fails=lambda a: Reason.ENDED_EARLY if (a.number, a.attempt) in failing else None,
        )
        self.world.start_dispatcher()
        self.world.start_worker("w0")
        self.world.start_worker("w1")

    @rule(ticks=st.integers(1, 12))
    def time_passes(self, ticks: int) -> None:
        for _ in range(ticks):
            self.world.tick()

    @rule(name=WORKER)
    def a_worker_starts(self, name: str) -> None:
        self.world.start_worker(name)

    @rule(name=WORKER)
    def a_worker_is_killed(self, name: str) -> None:
        if name in self.world.workers:
            self.world.kill_worker(name)

    @rule(name=WORKER, calls=CALLS)
    def a_worker_dies_at_a_call(self, name: str, calls: int) -> None:
        if name in self.world.workers:
            self.world.workers[name].fuse.left = calls

    @rule(name=WORKER)
    def a_worker_is_told_to_leave(self, name: str) -> None:
        if name in self.world.workers and not self.world.workers[name].frozen:
            self.world.leave(name)

    @rule(name=WORKER)
    def a_worker_freezes_or_thaws(self, name: str) -> None:
        if name in self.world.workers:
            self.world.workers[name].frozen = not self.world.workers[name].frozen

    @rule(name=WORKER, noticed=st.booleans())
    def a_worker_is_cut_off(self, name: str, noticed: bool) -> None:  # noqa: FBT001 - hypothesis names it
        if name in self.world.workers:
            self.world.workers[name].queue.partition(noticed=noticed)

    @rule(name=WORKER)
    def a_worker_reaches_the_queue_again(self, name: str) -> None:
        if name in self.world.workers:
            self.world.workers[name].queue.heal()

    @rule(name=WORKER)
    def a_workers_reply_is_lost(self, name: str) -> None:
        if name in self.world.workers:
            self.world.workers[name].queue.lose_reply()

    @rule(name=WORKER)
    def a_workers_results_are_out_of_reach_or_back(self, name: str) -> None:
        self.world.disks.unreachable ^= {name}

    @rule()
    def the_dispatcher_starts(self) -> None:
        self.world.start_dispatcher()

    @rule()
    def the_dispatcher_is_killed(self) -> None:
        self.world.kill_dispatcher()

    @rule(calls=CALLS)
    def the_dispatcher_dies_at_a_call(self, calls: int) -> None:
        if self.world.dispatcher:
            self.world.dispatcher.fuse.left = calls

    @rule()
    def the_dispatcher_freezes_or_thaws(self) -> None:
        if self.world.dispatcher:
            self.world.dispatcher.frozen = not self.world.dispatcher.frozen

    @rule()
    def the_dispatchers_reply_is_lost(self) -> None:
        if self.world.dispatcher:
            self.world.dispatcher.queue.lose_reply()

    @rule(binlog=st.booleans())
    def the_queue_restarts(self, binlog: bool) -> None:  # noqa: FBT001 - hypothesis names it
        self.world.server.restart(binlog=binlog)

    @rule()
    def the_queue_is_wiped(self) -> None:
        self.world.server.wipe()

    @rule()
    def somebody_deletes_the_broadcast(self) -> None:
        for message in self.world.server.messages(Tube.BROADCAST):
            self.world.server.delete(message)

    @rule(tube=st.sampled_from([Tube.FEEDBACK, Tube.GRAVEYARD, Tube.EVENTS, Tube.JOBS]))
    def a_message_comes_twice(self, tube: Tube) -> None:
        for message in self.world.server.messages(tube)[:1]:
            self.world.server.put(tube, message.body, priority=1 << 16, delay=0, ttr=TTR)

    @rule(tube=st.sampled_from([Tube.FEEDBACK, Tube.GRAVEYARD, Tube.EVENTS, Tube.JOBS, Tube.BROADCAST]))
    def somebody_puts_nonsense(self, tube: Tube) -> None:
        self.world.server.put(tube, b"nonsense", priority=1, delay=0, ttr=TTR)

    def teardown(self) -> None:
        world = self.world
        if not world.workers and not world.dispatcher:
            self.folder.cleanup()
            return
        world.disks.unreachable.clear()
        world.start_dispatcher()
        for name in WORKERS:
            world.start_worker(name)
        for process in [*world.workers.values(), world.dispatcher]:
            assert process
            process.fuse.left, process.frozen = None, False
            process.queue.heal()
        world.run(lambda: world.finished, at_most=60 * RUN_SECONDS)
        world.check()
        self._check_that_all_is_clean()
        self.folder.cleanup()

    def _check_that_all_is_clean(self) -> None:
        """Nothing waits or runs any more, and every worker could delete its results."""
        world = self.world
        for _ in range(200):
            world.tick()
        assert not any(process.station.running for process in world.workers.values())
        assert jobs_left(world) == len([m for m in world.server.messages(Tube.JOBS) if m.body == b"nonsense"])


TestCampaign = Campaign.TestCase
TestCampaign.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
