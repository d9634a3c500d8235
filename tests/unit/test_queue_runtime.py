from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.memory_station import MemoryMachine
from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.model.entries import JobState
from magma_remote.model.outcome import Reason
from magma_remote.runtime.dispatcher import operations
from tests.support.memory.world import RUN_SECONDS, TTR, World

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path, 6)
    made.start_dispatcher()
    made.start_worker("w1")
    made.start_worker("w2")
    return made


def test_all_jobs_end_in_the_result(world: World) -> None:
    world.finish()
    assert [entry.state for entry in world.entries()] == [JobState.DONE] * 6
    assert len(world.all_starts()) == 6
    for _ in range(20):
        world.tick()
    assert not any(world.disks.kept.values())


def test_a_killed_workers_job_runs_elsewhere_within_ttr(tmp_path: Path) -> None:
    world = World(tmp_path, 2)
    world.start_dispatcher()
    world.start_worker("w1")
    world.run(lambda: len(world.all_starts()) == 2, at_most=60)
    world.start_worker("w2")
    for _ in range(4):
        world.tick()
    world.kill_worker("w1")
    world.run(lambda: len(world.all_starts()) == 4, at_most=TTR)
    world.finish()
    assert {entry.attempts for entry in world.entries()} == {2}


def test_a_job_that_always_fails_is_dead_after_three_attempts(tmp_path: Path) -> None:
    world = World(tmp_path, 4)
    world.machine = MemoryMachine(fails=lambda a: Reason.NO_MONITOR if a.number == 1 else None)
    world.start_dispatcher()
    world.start_worker("w1")
    world.start_worker("w2")
    world.finish()
    entry = world.entries()[1]
    assert (entry.state, entry.reason, entry.attempts) == (JobState.DEAD, Reason.NO_MONITOR, 3)
    assert len([start for start in world.all_starts() if start.number == 1]) == 3


def test_workers_speak_often_enough_where_the_ttr_is_short(tmp_path: Path) -> None:
    world = World(tmp_path, 2, ttr=10)
    world.start_dispatcher()
    world.start_worker("w1")
    for _ in range(60):
        world.tick(1.0)
        assert not any(entry.lost for entry in world.known_workers())
    assert len(world.all_starts()) == 2


def test_a_result_that_comes_after_the_end_is_not_kept(tmp_path: Path) -> None:
    world = World(tmp_path, 2)
    world.start_dispatcher()
    world.start_worker("w1")
    world.run(lambda: len(world.all_starts()) == 2, at_most=60)
    world.workers["w1"].frozen = True
    world.start_worker("w2")
    world.finish()
    world.kill_dispatcher()
    world.workers["w1"].frozen = False
    world.run(lambda: not world.workers["w1"].station.running, at_most=RUN_SECONDS)
    world.tick()
    assert not any(world.disks.kept.values())


def test_a_result_of_a_job_that_was_given_up_is_kept_and_taken_later(tmp_path: Path) -> None:
    world = World(tmp_path, 1)
    world.start_dispatcher()
    world.start_worker("w1")
    world.disks.unreachable = {"w1"}
    world.run(lambda: any(world.disks.kept["w1"].values()), at_most=2 * RUN_SECONDS)
    world.kill_worker("w1")
    world.machines["w2"] = MemoryMachine(fails=lambda _: Reason.NO_MONITOR)
    world.start_worker("w2")
    world.run(lambda: world.finished, at_most=20 * RUN_SECONDS)
    assert [(entry.state, entry.attempts) for entry in world.entries()] == [(JobState.DEAD, 3)]
    world.kill_dispatcher()
    world.leave("w2")
    world.start_worker("w1")
    for _ in range(20):
        world.tick()
    assert any(world.disks.kept["w1"].values())
    world.disks.unreachable = set()
    ledger = SqliteLedger(world.path)
    operations.requeue(ledger, None)
    ledger.close()
    world.start_dispatcher()
    world.finish()
    assert [entry.state for entry in world.entries()] == [JobState.DONE]


def test_a_result_that_was_lost_is_made_again(tmp_path: Path) -> None:
    world = World(tmp_path, 2)
    world.start_dispatcher()
    world.start_worker("w1")
    world.finish()
    before = world.disks.merged[0]
    world.operate(lambda ledger: operations.requeue(ledger, [0], give_up=world.disks.lose))
    assert [entry.state for entry in world.entries()] == [JobState.WAITING, JobState.DONE]
    world.start_dispatcher()
    world.finish()
    assert [(entry.state, entry.attempts) for entry in world.entries()] == [(JobState.DONE, 1)] * 2
    assert world.disks.merged[0] != before


def test_a_result_that_cannot_be_fetched_is_waited_for_while_its_worker_lives(tmp_path: Path) -> None:
    world = World(tmp_path, 1)
    world.start_dispatcher()
    world.start_worker("w1")
    world.disks.unreachable = {"w1"}
    world.run(lambda: any(warned.key == "fetch w1" for warned in world.warnings()), at_most=4 * RUN_SECONDS)
    for _ in range(400):
        world.tick()
    assert len(world.all_starts()) == 1
    world.disks.unreachable = set()
    world.finish()
    assert [(entry.state, entry.attempts) for entry in world.entries()] == [(JobState.DONE, 1)]


def test_a_bad_worker_does_not_eat_the_jobs_of_a_good_one(tmp_path: Path) -> None:
    world = World(tmp_path, 8)
    world.machines["bad"] = MemoryMachine(run_seconds=1.0, fails=lambda _: Reason.NO_MONITOR)
    world.start_dispatcher()
    world.start_worker("good")
    world.start_worker("bad")
    world.finish()
    assert {entry.state for entry in world.entries()} == {JobState.DONE}


def test_a_clock_that_is_set_loses_no_worker(world: World) -> None:
    world.run(lambda: len(world.all_starts()) == 4, at_most=60)
    for step in (7200.0, -10_000.0):
        world.clock.set(step)
        for _ in range(4):
            world.tick()
    assert len(world.all_starts()) == 4
    assert not any(entry.lost for entry in world.known_workers())
    world.finish()
    assert len(world.all_starts()) == 6


def test_jobs_that_the_queue_forgets_to_take_from_a_frozen_worker_run_elsewhere(tmp_path: Path) -> None:
    world = World(tmp_path, 3)
    world.server.forgetful = True
    world.start_dispatcher()
    world.start_worker("w1")
    world.run(lambda: len(world.all_starts()) == 2, at_most=60)
    world.workers["w1"].frozen = True
    world.start_worker("w2")
    world.run(lambda: world.finished, at_most=20 * RUN_SECONDS)
    assert {entry.state for entry in world.entries()} == {JobState.DONE}
    world.workers["w1"].frozen = False
    world.finish()
    world.run(lambda: not world.workers["w1"].station.running, at_most=30)
