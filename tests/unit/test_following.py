"""A worker follows what is broadcast: it sets up again where it has to, and only there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from magma_remote.adapters.memory_clock import MemoryClock
from magma_remote.adapters.memory_queue import MemoryQueue, MemoryServer
from magma_remote.adapters.memory_station import MemoryMachine, MemoryStation
from magma_remote.model.messages import Broadcast, WorkerState
from magma_remote.model.pinned import PinnedImage
from magma_remote.ports import Prepared
from magma_remote.runtime.following import Following
from magma_remote.runtime.slot import broadcast

PREPARE_SECONDS = 8.0
PNG, TIFF = (PinnedImage(fuzzer="afl", target=name, manifest=f"sha256:{'1' * 64}") for name in ("libpng", "libtiff"))
FIRST = Broadcast(
    config_id="c1",
    source="c",
    text="{}",
    tree="0",
    since=0.0,
    dispatcher="d",
    workdir="/w",
    images=(PNG,),
    uid=642,
    gid=642,
)


class Lab:
    """A worker's Following on a queue and a station in memory."""

    def __init__(self) -> None:
        self.clock = MemoryClock()
        self.queue = MemoryQueue(MemoryServer(self.clock))
        self.station = MemoryStation("w", self.clock, {}, MemoryMachine(prepare_seconds=PREPARE_SECONDS))
        self.following = Following(self.queue, self.station, self.clock)

    @property
    def state(self) -> WorkerState:
        return self.following.state

    def hear(self, message: Broadcast, *, idle: bool = True) -> None:
        broadcast(self.queue, message)
        self.following.look()
        self.following.set_up(idle=idle)

    def wait(self) -> None:
        """Until a preparation that is under way must have ended."""
        self.clock.sleep(PREPARE_SECONDS)
        for news in self.station.news():
            assert isinstance(news, Prepared)
            self.following.be_prepared(news)
        self.following.set_up(idle=True)


@pytest.fixture
def lab() -> Lab:
    made = Lab()
    made.hear(FIRST)
    made.wait()
    assert made.state is WorkerState.READY
    return made


@pytest.mark.parametrize(
    ("message", "again"),
    [
        pytest.param(FIRST, False, id="the same"),
        pytest.param(replace(FIRST, images=(PNG, TIFF)), True, id="one more image"),
        pytest.param(replace(FIRST, images=()), False, id="fewer images"),
        pytest.param(replace(FIRST, images=(replace(PNG, manifest=f"sha256:{'2' * 64}"),)), True, id="another digest"),
        pytest.param(replace(FIRST, images=(), uid=0, gid=0), True, id="none provided any more"),
    ],
)
def test_more_images_are_a_reason_to_set_up_again(lab: Lab, message: Broadcast, *, again: bool) -> None:
    lab.hear(message)
    assert lab.station.prepared == ([FIRST, message] if again else [FIRST])
    lab.wait()
    assert lab.state is WorkerState.READY


def test_runs_end_first(lab: Lab) -> None:
    lab.hear(replace(FIRST, images=(PNG, TIFF)), idle=False)
    assert len(lab.station.prepared) == 1
    assert not lab.following.may_take("")
    lab.following.set_up(idle=True)
    lab.wait()
    assert lab.following.may_take("")


def test_more_images_while_it_sets_up() -> None:
    lab = Lab()
    lab.hear(FIRST)
    more = replace(FIRST, images=(PNG, TIFF))
    lab.hear(more)
    assert lab.station.prepared == [FIRST], "it is not given up"
    lab.wait()
    assert lab.station.prepared == [FIRST, more]
    states = [lab.state]
    lab.wait()
    assert [*states, lab.state] == [WorkerState.PREPARING, WorkerState.READY]
