"""A campaign that is not ours: its messages, one for each tube that they may come on, and what its dispatcher does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magma_remote.adapters.memory_queue import MemoryQueue
from magma_remote.model.heartbeat import Heartbeat, WorkerState
from magma_remote.model.jobs import Job
from magma_remote.model.messages import Broadcast, Feedback, Grave, JobMessage, Place, Tube
from magma_remote.runtime.dispatcher.slot import broadcast, read_slot

if TYPE_CHECKING:
    from tests.support.memory.world import World

OTHER = "decaf0"

STRANGERS = {
    Tube.JOBS: JobMessage(
        config_id=OTHER, number=0, attempt=1, job=Job(repeat=0, fuzzer="f0", target="t", program="p")
    ).encode(),
    Tube.FEEDBACK: Feedback(
        config_id=OTHER,
        number=0,
        run="0-aa",
        attempt=1,
        worker="w0",
        place=Place(folder="/w0/x_0-aa", workdirs="/w0", token="w0", host="192.0.2.7", port=22, user="magma"),
        manifest="0" * 64,
        started_at=0.0,
    ).encode(),
    Tube.GRAVEYARD: Grave(
        config_id=OTHER, number=0, run="0-aa", attempt=1, worker="w0", reason="internal", message="no"
    ).encode(),
    Tube.EVENTS: Heartbeat(
        config_id=OTHER, worker="w9", name="w9", host="w9", state=WorkerState.READY, at=0.0
    ).encode(),
}


def take_the_queue(world: World) -> None:
    """Another dispatcher takes the queue with --force, if the queue is there."""
    if world.server.up:
        broadcast(MemoryQueue(world.server), _other(world, since=world.clock.now(), is_open=True))


def give_back(world: World) -> None:
    """The other campaign ends, if there is one and its dispatcher reaches the queue."""
    if not world.server.up:
        return
    queue = MemoryQueue(world.server)
    found = read_slot(queue)
    if found and found.config_id == OTHER and found.open:
        broadcast(queue, _other(world, since=found.since, is_open=False))


def _other(world: World, *, since: float, is_open: bool) -> Broadcast:
    return Broadcast(
        config_id=OTHER,
        source="other.hjson",
        text="{}",
        tree="0" * 64,
        since=since,
        dispatcher="e",
        workdir="/v",
        open=is_open,
        ttr=world.ttr,
    )
