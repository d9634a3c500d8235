"""A registry that goes away, or loses images, while a campaign runs with them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.memory_clock import MemoryClock
from magma_remote.adapters.memory_queue import MemoryQueue, MemoryServer
from magma_remote.model.heartbeat import Heartbeat, WorkerState
from magma_remote.model.messages import Tube
from magma_remote.runtime.dispatcher.dispatcher import Dispatcher, Seat
from magma_remote.runtime.dispatcher.restocking import EVERY_SECONDS, SOON_SECONDS, Restocking
from magma_remote.runtime.images import provision
from tests.support.memory.mortals import Disks, Fuse, MemoryResults, SlowCrew
from tests.support.memory.supply import PNG, TIFF, a_host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from magma_remote.model.layout import Workdir
    from magma_remote.model.pinned import PinnedImage
    from tests.support.memory.supply import Host

LOG = "magma_remote.runtime.dispatcher.watching"


class Desk:
    """A dispatcher with its supply, as `dispatch` starts it."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.clock = MemoryClock()
        self.queue = MemoryQueue(MemoryServer(self.clock))
        self.supply = host.supply()
        kept = [pin for pin in host.ledger.pins() if pin.image in self.supply.images]
        restocking = Restocking(
            host.provision(host.ledger.pins()).restoring,
            kept,
            ledger=host.ledger,
            crew=SlowCrew(1),
            clock=self.clock,
            away=self.supply.away,
        )
        self.dispatcher = Dispatcher(
            Seat(host="d", workdir="/w"),
            ledger=host.ledger,
            queue=self.queue,
            results=MemoryResults(Disks(), Fuse()),
            crew=SlowCrew(0),
            clock=self.clock,
            supply=self.supply,
            restocking=restocking,
        )
        self.dispatcher.open()

    def manifest(self, pair: tuple[str, str]) -> str:
        return next(image.manifest for image in self.supply.images if image.pair == pair)

    def hear(self, state: WorkerState, detail: str = "") -> None:
        """A worker says how it is."""
        beat = Heartbeat(config_id="c1", worker="w", name="w", host="h", state=state, at=0.0, detail=detail)
        self.queue.put(Tube.EVENTS, beat.encode())

    def cannot_pull(self, pair: tuple[str, str]) -> None:
        self.hear(WorkerState.UNFIT, f"the registry at r has lost what it was asked for x@{self.manifest(pair)}")

    def warnings(self, after: float = 0.0) -> dict[str, str]:
        """What status tells then; other findings than the registry's are left out."""
        end = self.clock.monotonic() + after
        while self.clock.monotonic() < end:
            self.clock.advance(2.5)
            self.dispatcher.step()
        for _ in range(3):
            self.clock.advance(2.5)
            self.dispatcher.step()
        keys = ("registry", "image ")
        return {warned.key: warned.text for warned in self.host.ledger.warnings() if warned.key.startswith(keys)}


@pytest.fixture
def host(tree: Path, workdir: Workdir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setattr(provision, "PATIENCE", 0.0)
    with a_host(tree, workdir, tmp_path) as made:
        made.supply()
        yield made


def test_nothing_is_pushed_and_little_is_asked_where_all_is_well(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, pushed = Desk(host), list(host.registry.server.pushed)
    assert desk.warnings() == {}
    asked: list[str] = []
    has = host.registry.has

    def heard(image: PinnedImage) -> bool:
        asked.append(image.target)
        return has(image)

    monkeypatch.setattr(host.registry, "has", heard)
    assert desk.warnings(4 * EVERY_SECONDS) == {}
    assert asked == ["libtiff", "libpng", "libtiff", "libpng"]
    assert host.registry.server.pushed == pushed


def test_away_from_the_start_it_is_said_once_and_so_is_its_return(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOG)
    host.registry.server.up = False
    desk = Desk(host)
    said = desk.warnings(10 * SOON_SECONDS)
    assert list(said) == ["registry"]
    assert said["registry"].startswith("the registry at reg:5000 does not answer. Results are fetched all the same")
    assert "one that has to pull an image cannot work" in said["registry"]
    host.registry.server.up = True
    assert desk.warnings(SOON_SECONDS) == {}
    assert [line for line in caplog.messages if "reg:5000" in line] == [
        said["registry"],
        f"over: {said['registry']}",
    ]


@pytest.mark.parametrize("what", ["registry", "engine"])
def test_away_later_it_is_noticed(host: Host, what: str) -> None:
    desk = Desk(host)
    assert desk.warnings() == {}
    if what == "engine":
        host.runner.go()
    else:
        host.registry.server.up = False
    assert list(desk.warnings(EVERY_SECONDS)) == ["registry"]


def test_what_is_lost_is_pushed_again_within_minutes(host: Host) -> None:
    desk, images = Desk(host), dict(host.registry.server.images)
    desk.warnings()
    host.registry.server.images.clear()
    assert desk.warnings(EVERY_SECONDS) == {}
    assert (host.registry.server.images, len(host.runner.builds)) == (images, 2)
    assert "with the same digest" in host.reporter.notes[-1]
    assert not host.guards.held


def test_what_a_worker_cannot_pull_is_pushed_again_soon(host: Host) -> None:
    desk = Desk(host)
    desk.warnings()
    host.registry.server.images.clear()
    desk.cannot_pull(TIFF)
    assert desk.warnings(SOON_SECONDS) == {}
    assert len(host.registry.server.images) == 2, "where one is gone, others are asked for, too"


@pytest.mark.parametrize("pair", [PNG, TIFF])
def test_one_that_is_lost_alone_is_found_in_its_turn(host: Host, pair: tuple[str, str]) -> None:
    desk, images = Desk(host), dict(host.registry.server.images)
    desk.warnings()
    del host.registry.server.images[f"magma/{'/'.join(pair)}", desk.manifest(pair)]
    desk.warnings(2 * EVERY_SECONDS)
    assert host.registry.server.images == images


def test_a_worker_that_cannot_pull_what_is_there_changes_nothing(host: Host) -> None:
    desk, pushed = Desk(host), list(host.registry.server.pushed)
    desk.cannot_pull(TIFF)
    assert desk.warnings(EVERY_SECONDS) == {}
    assert host.registry.server.pushed == pushed


def test_an_engine_that_has_it_by_its_digest_alone_will_do(host: Host) -> None:
    desk, images = Desk(host), dict(host.registry.server.images)
    desk.warnings()
    for pin in host.ledger.pins():
        host.runner.images[pin.image.reference("reg:5000")] = host.runner.built.pop(pin.recipe)
    host.registry.server.images.clear()
    assert desk.warnings(EVERY_SECONDS) == {}
    assert host.registry.server.images.keys() == images.keys()


def test_nothing_is_pushed_beside_trials(host: Host) -> None:
    desk = Desk(host)
    desk.warnings()
    host.registry.server.images.clear()
    host.guards.held.add(3)
    said = desk.warnings(EVERY_SECONDS)
    assert list(said) == ["image afl/libpng", "image afl/libtiff"]
    assert "has lost the image magma/afl/libpng. CPUs 3 of this machine are held by trials" in said["image afl/libpng"]
    assert not host.registry.server.images
    host.guards.held.clear()
    assert desk.warnings(EVERY_SECONDS) == {}


def test_what_is_lost_for_good_before_the_start_is_told_and_keeps_no_result_from_coming(host: Host) -> None:
    host.registry.server.images.clear()
    host.runner.built.clear()
    said = Desk(host).warnings()
    assert list(said) == ["image afl/libpng", "image afl/libtiff"]
    assert "one that has to pull it cannot work" in said["image afl/libpng"]


@pytest.mark.parametrize("how", ["gone here, too", "another digest"])
def test_what_is_lost_for_good_is_named_with_what_to_do(host: Host, how: str) -> None:
    desk, pins = Desk(host), host.ledger.pins()
    desk.warnings()
    images = dict(host.registry.server.images)
    del host.registry.server.images["magma/afl/libpng", desk.manifest(PNG)]
    if how == "another digest":
        host.registry.server.salt = "pepper"
    else:
        host.runner.built.clear()
    desk.cannot_pull(PNG)
    pushed = len(host.registry.server.pushed)
    said = desk.warnings(4 * SOON_SECONDS)
    assert list(said) == ["image afl/libpng"]
    assert "bring back the registry's data" in said["image afl/libpng"]
    assert said["image afl/libpng"].endswith("Workers that have it go on; one that has to pull it cannot work")
    assert len(host.registry.server.pushed) - pushed == (how == "another digest"), "pushed once, not again and again"
    assert (host.ledger.pins(), len(host.runner.builds)) == (pins, 2)
    host.registry.server.images.update(images)
    assert desk.warnings(EVERY_SECONDS) == {}


def test_a_registry_that_takes_nothing_is_asked_on_and_the_log_is_not_filled(host: Host) -> None:
    desk = Desk(host)
    desk.warnings()
    host.registry.server.images.clear()
    host.registry.server.full = {"magma/afl/libpng", "magma/afl/libtiff"}
    said = desk.warnings(2 * EVERY_SECONDS + 4 * SOON_SECONDS)
    assert list(said) == ["image afl/libpng", "image afl/libtiff"]
    assert all("no space left" in text for text in said.values())
    assert sum("pushing it again" in note for note in host.reporter.notes) == 2
    host.registry.server.full = set()
    assert desk.warnings(EVERY_SECONDS) == {}
    assert len(host.registry.server.images) == 2


def test_an_image_that_there_is_no_room_for_keeps_no_other_out_and_is_not_tried_all_the_time(host: Host) -> None:
    desk = Desk(host)
    desk.warnings()
    host.registry.server.images.clear()
    host.registry.server.full = {"magma/afl/libpng"}
    desk.cannot_pull(PNG)
    desk.cannot_pull(TIFF)
    assert list(desk.warnings(EVERY_SECONDS / 2)) == ["image afl/libpng"]
    assert [name for name, _ in host.registry.server.images] == ["magma/afl/libtiff"]
    host.registry.server.full = set()
    desk.cannot_pull(PNG)
    assert list(desk.warnings(SOON_SECONDS)) == ["image afl/libpng"], "a push is no small request"
    assert desk.warnings(EVERY_SECONDS) == {}


def test_a_defect_is_said_and_ends_no_dispatcher(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(host)
    with monkeypatch.context() as broken:
        broken.setattr(host.registry, "has", None)
        assert "a defect of this program: TypeError" in desk.warnings()["registry"]
    assert desk.warnings(SOON_SECONDS) == {}
