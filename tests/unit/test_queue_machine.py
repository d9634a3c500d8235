"""Whatever dies in whatever order: every job ends exactly once, in the result or as dead with a reason."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from magma_remote.adapters.memory_station import MemoryMachine
from magma_remote.model.entries import JobState
from magma_remote.model.messages import Orders, Tube, orders_tube
from magma_remote.model.outcome import Reason
from magma_remote.runtime.dispatcher import operations
from tests.support.memory.strangers import STRANGERS, give_back, take_the_queue
from tests.support.memory.world import CONFIG, RUN_SECONDS, TTR, World, jobs_left

WORKERS = ("w0", "w1", "w2")
WORKER = st.sampled_from(WORKERS)
CALLS = st.integers(0, 40)
JOBS = 5
NUMBER = st.integers(0, JOBS - 1)
SELDOM = st.sampled_from([True, *[False] * 5])
EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "40"))
NOBODYS = (b"nonsense", STRANGERS[Tube.JOBS])


class Campaign(RuleBasedStateMachine):
    """Rules are what happens to a campaign; `teardown` mends all and lets it end."""

    def __init__(self) -> None:
        super().__init__()
        self.thaws = True
        self.folder = tempfile.TemporaryDirectory(prefix="campaign-", dir="/dev/shm")
        self.world = World(Path(self.folder.name), JOBS)

    @initialize(
        patience=st.integers(0, 30),
        failing=st.sets(st.tuples(NUMBER, st.integers(1, 3)), max_size=4),
        forgetful=st.booleans(),
        thaws=st.booleans(),
    )
    def begin(self, patience: int, failing: set[tuple[int, int]], *, forgetful: bool, thaws: bool) -> None:
        self.thaws = thaws
        self.world.patience = patience
        self.world.server.forgetful = forgetful
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
    def a_worker_is_cut_off(self, name: str, noticed: bool) -> None:
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
    def the_queue_restarts(self, binlog: bool) -> None:
        if self.world.server.up:
            self.world.server.restart(binlog=binlog)

    @rule()
    def the_queue_is_wiped(self) -> None:
        if self.world.server.up:
            self.world.server.wipe()

    @rule()
    def the_queue_goes_down_or_comes_back(self) -> None:
        if self.world.server.up:
            self.world.server.stop()
        else:
            self.world.server.start()

    @rule(seconds=st.floats(-3600, 3600))
    def the_clock_is_set(self, seconds: float) -> None:
        self.world.clock.set(seconds)

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

    @rule(tube=st.sampled_from(list(STRANGERS)))
    def a_message_of_another_campaign_is_there(self, tube: Tube) -> None:
        self.world.server.put(tube, STRANGERS[tube], priority=1 << 16, delay=0, ttr=TTR)

    @rule(seldom=SELDOM)
    def another_campaign_takes_the_queue(self, seldom: bool) -> None:
        if seldom:
            take_the_queue(self.world)

    @rule()
    def the_other_campaign_ends(self) -> None:
        give_back(self.world)

    @rule(seldom=SELDOM)
    def a_person_cancels(self, seldom: bool) -> None:
        if seldom:
            self.world.operate(operations.cancel)

    @rule(number=NUMBER)
    def a_person_drops_a_job(self, number: int) -> None:
        self.world.operate(lambda ledger: operations.drop(ledger, [number]))

    @rule(number=st.none() | NUMBER)
    def a_person_requeues(self, number: int | None) -> None:
        self.world.operate(lambda ledger: operations.requeue(ledger, None if number is None else [number]))

    @rule(number=NUMBER)
    def a_merged_result_is_lost_and_a_person_requeues(self, number: int) -> None:
        self.world.operate(lambda ledger: operations.requeue(ledger, [number], give_up=self.world.disks.lose))

    @rule(more=st.integers(1, 2), fuzzer=st.sampled_from(["f0", "g0", "g1"]))
    def a_person_extends(self, more: int, fuzzer: str) -> None:
        self.world.extend(more, fuzzer)

    @rule(name=WORKER)
    def a_worker_is_to_drain(self, name: str) -> None:
        order = Orders(config_id=CONFIG, drain=True).encode()
        self.world.server.put(orders_tube(name), order, priority=1 << 16, delay=0, ttr=TTR)

    @rule(name=WORKER)
    def a_result_is_altered(self, name: str) -> None:
        kept = self.world.disks.kept.get(name, {})
        self.world.disks.corrupt |= {run for run, complete in list(kept.items())[:1] if complete}

    @rule(name=WORKER)
    def a_disk_is_full_or_has_room_again(self, name: str) -> None:
        if name in self.world.workers:
            station = self.world.workers[name].station
            station.obstacle_text = "" if station.obstacle_text else "its disk is full"

    def teardown(self) -> None:
        with self.folder:
            if self.world.workers or self.world.dispatcher:
                self._mend()
                self.world.run(self._is_over, at_most=60 * RUN_SECONDS)
                self._thaw()
                self.world.check()
                self._check_that_all_is_clean()

    def _mend(self) -> None:
        """Nothing is in the way any more, but workers may be frozen until the end as long as one is not."""
        world = self.world
        if not world.server.up:
            world.server.start()
        give_back(world)
        world.disks.unreachable.clear()
        world.start_dispatcher()
        for name in WORKERS:
            world.start_worker(name)
        if self.thaws or all(process.frozen for process in world.workers.values()):
            self._thaw()
        assert world.dispatcher
        world.dispatcher.frozen = False
        for process in (*world.workers.values(), world.dispatcher):
            process.fuse.left = None
            process.queue.heal()
        for worker in world.workers.values():
            worker.station.obstacle_text = ""

    def _thaw(self) -> None:
        for process in self.world.workers.values():
            process.frozen = False

    def _is_over(self) -> bool:
        """Whether the dispatcher has seen the end; meanwhile workers that had to drain are started again."""
        for name in WORKERS:
            self.world.start_worker(name)
        return self.world.finished

    def _check_that_all_is_clean(self) -> None:
        """Nothing waits or runs any more, and every worker could delete its results."""
        world = self.world
        for _ in range(200):
            world.tick()
        assert not any(process.station.running for process in world.workers.values())
        if all(entry.state is JobState.DONE for entry in world.entries()):  # else a late one may be wanted yet
            assert not any(any(world.disks.kept[name].values()) for name in world.workers), world.story()
        assert jobs_left(world) == len([m for m in world.server.messages(Tube.JOBS) if m.body in NOBODYS])


TestCampaign = Campaign.TestCase
TestCampaign.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # to shrink one takes longer than to find it
)
