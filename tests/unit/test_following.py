"""A worker follows what is broadcast: it sets up again where it has to, and only there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from magma_remote.adapters.memory_clock import MemoryClock
from magma_remote.adapters.memory_queue import MemoryQueue, MemoryServer
from magma_remote.adapters.memory_station import MemoryMachine, MemoryStation
from magma_remote.model.heartbeat import WorkerState
from magma_remote.model.messages import Broadcast
from magma_remote.model.pinned import PinnedImage
from magma_remote.ports import Prepared
from magma_remote.runtime.dispatcher.slot import broadcast
from magma_remote.runtime.worker.following import Following

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
        pytest.param(replace(FIRST, text='{"REPEAT": 2}'), False, id="more repeats"),
        pytest.param(replace(FIRST, text='{"FUZZERS": ["afl", "eclipser"]}'), True, id="one more fuzzer"),
        pytest.param(replace(FIRST, tree="1"), True, id="another tree"),
    ],
)
def test_more_images_are_a_reason_to_set_up_again(lab: Lab, message: Broadcast, *, again: bool) -> None:
    lab.hear(message)
    assert lab.station.prepared == ([FIRST, message] if again else [FIRST])
    lab.wait()
    assert lab.state is WorkerState.READY


@pytest.mark.parametrize(
    ("message", "behind"),
    [
        pytest.param(FIRST, False, id="the same"),
        pytest.param(replace(FIRST, text='{"REPEAT": 2}'), False, id="more repeats"),
        pytest.param(replace(FIRST, text='{"FUZZERS": ["afl", "eclipser"]}'), True, id="one more fuzzer"),
        pytest.param(replace(FIRST, open=False, tree="1"), False, id="ended"),
        pytest.param(replace(FIRST, config_id="c2", tree="1"), False, id="another campaign"),
    ],
)
def test_a_worker_knows_before_it_looks_that_more_has_come(lab: Lab, message: Broadcast, *, behind: bool) -> None:
    broadcast(lab.queue, message)
    assert lab.following.is_behind() is behind
    assert lab.state is WorkerState.READY


def test_a_worker_says_why_it_takes_nothing_while_its_runs_end(lab: Lab) -> None:
    lab.hear(replace(FIRST, tree="1"), idle=False)
    assert "more has come to the campaign" in lab.following.detail
    lab.following.set_up(idle=True)
    lab.wait()
    assert not lab.following.detail


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
