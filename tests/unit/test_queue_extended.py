"""A campaign is extended while its workers run: what they have in hand counts, and what is new runs once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from magma_remote.model.entries import JobState
from magma_remote.runtime.dispatcher import operations
from tests.support.memory.world import RUN_SECONDS, World

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path, 6)
    made.start_dispatcher()
    made.start_worker("w1")
    return made


def finish(world: World) -> None:
    world.start_dispatcher()
    world.finish()


def preparations(world: World) -> int:
    return len(world.workers["w1"].station.prepared)


def numbers(world: World) -> list[int]:
    return sorted(start.number for start in world.all_starts())


def test_results_of_the_first_part_that_are_on_their_way_count(world: World) -> None:
    world.run(lambda: len(world.all_starts()) == 4, at_most=2 * RUN_SECONDS)
    world.extend(2, "g0")
    for _ in range(int(2 * RUN_SECONDS / 5)):
        world.tick()
    assert any(world.disks.kept["w1"].values()), "results wait on the worker"
    finish(world)
    assert [entry.state for entry in world.entries()] == [JobState.DONE] * 8
    assert numbers(world) == list(range(8)), "nothing ran twice"


def test_a_further_fuzzer_waits_until_its_worker_has_set_up_for_it(world: World) -> None:
    world.run(lambda: len(world.all_starts()) == 2, at_most=RUN_SECONDS)
    world.extend(2, "g0")
    finish(world)
    assert preparations(world) == 2
    assert numbers(world) == list(range(8))
    assert {entry.attempts for entry in world.entries()} == {1}


def test_more_repeats_need_no_setting_up(world: World) -> None:
    world.run(lambda: len(world.all_starts()) == 2, at_most=RUN_SECONDS)
    world.extend(2)
    finish(world)
    assert preparations(world) == 1
    assert numbers(world) == list(range(8))


@pytest.mark.parametrize("fuzzer", ["f0", "g0"])
def test_an_ended_campaign_goes_on(world: World, fuzzer: str) -> None:
    finish(world)
    world.extend(3, fuzzer)
    finish(world)
    assert [entry.state for entry in world.entries()] == [JobState.DONE] * 9
    assert numbers(world) == list(range(9))


def test_a_cancelled_campaign_goes_on_with_what_is_new_alone(world: World) -> None:
    world.run(lambda: len(world.all_starts()) == 2, at_most=RUN_SECONDS)
    world.operate(operations.cancel)
    finish(world)
    world.extend(2)
    finish(world)
    assert [entry.state for entry in world.entries()] == [JobState.DEAD] * 6 + [JobState.DONE] * 2


def test_extended_twice_while_a_worker_sets_up(world: World) -> None:
    world.run(lambda: preparations(world) == 1, at_most=30)
    world.extend(1, "g0")
    world.start_dispatcher()
    world.tick(1.0)
    world.extend(1, "g1")
    finish(world)
    assert numbers(world) == list(range(8))
