"""A world with results that nobody told of, and how they are collected there."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.runtime.collecting.collecting import Collecting
from magma_remote.runtime.collecting.leftovers import Left
from tests.support.memory.mortals import Fuse, MemoryResults, SlowCrew
from tests.support.memory.world import RUN_SECONDS, World

if TYPE_CHECKING:
    from pathlib import Path


def untold(folder: Path) -> World:
    """Three results that nobody told of: the queue was wiped before their feedback was read, the workers died."""
    world = World(folder, 3)
    world.start_dispatcher()
    for name in ("a", "b", "c"):
        world.start_worker(name)
    world.run(lambda: len(world.all_starts()) == 3, at_most=100)
    world.kill_dispatcher()
    world.run(lambda: len(lefts(world)) == 3, at_most=RUN_SECONDS * 3)
    for name in ("a", "b", "c"):
        world.kill_worker(name)
    world.server.wipe()
    return world


def lefts(world: World) -> list[Left]:
    """What its workers have."""
    return [
        Left(name=worker, feedback=kept.feedback(worker))
        for worker, disk in world.disks.kept.items()
        for kept in disk.values()
        if kept
    ]


def collect(world: World, *, fuse: Fuse | None = None, tell: list[str] | None = None) -> Collecting:
    """Collect once, or be killed by the fuse."""
    burning = fuse or Fuse()
    with closing(SqliteLedger(world.path)) as ledger:
        collecting = Collecting(
            ledger,
            is_there=lambda run, _job: world.disks.merged.get(run.number) == run.run,
            results=MemoryResults(world.disks, burning),
            crew=SlowCrew(0),
            clock=world.clock,
            tell=(tell if tell is not None else []).append,
        )
        collecting.all(lefts(world))
    return collecting
