"""A station whose images come from the dispatcher's registry: no tree, no build, and never somebody else's image."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.adapters.memory_registry import MemoryRegistry, MemoryShelf
from magma_remote.model.pinned import PinnedImage
from magma_remote.ports import Pulled
from magma_remote.runtime import preflight
from tests.support.memory.station import an_assignment, prepare, run

if TYPE_CHECKING:
    from magma_remote.model.messages import Broadcast
    from tests.support.memory.station import Bench

MANIFEST = f"sha256:{'1' * 64}"
PAIRS = (("afl", "libpng"), ("libfuzzer", "libpng"))


@pytest.fixture
def server(bench: Bench) -> MemoryShelf:
    """A registry with both images, at the other end of the station's tunnel; the station's machine has no tree."""
    server = MemoryShelf()
    bench.has_tree = False
    bench.registry = MemoryRegistry(bench.runner, server)
    for pair in PAIRS:
        image = PinnedImage(fuzzer=pair[0], target=pair[1], manifest=MANIFEST)
        server.images[image.name, image.manifest] = Pulled(id=f"sha256:{pair[0]}", digest="d" * 64)
    return server


def broadcast(bench: Bench, **more: Any) -> Broadcast:
    images = tuple(PinnedImage(fuzzer=fuzzer, target=target, manifest=MANIFEST) for fuzzer, target in PAIRS)
    message = bench.broadcast(FUZZERS=["afl", "libfuzzer"], TARGETS=["libpng"])
    values: dict[str, Any] = {"images": images, "uid": os.getuid() or 642, "gid": 642} | more
    return replace(message, **values)


def test_images_are_pulled_and_run_without_a_tree(bench: Bench, server: MemoryShelf) -> None:
    assert server.up
    (bench.workdirs / "log").mkdir(parents=True)
    stale = bench.workdirs / "log" / "afl_libpng_build_192.0.2.7.log"
    stale.write_text("of an image that this machine built once")
    station = bench.station()
    news = prepare(station, broadcast(bench))
    assert news.unfit == ""
    assert "pulling libfuzzer/libpng" in station.progress()
    assert station.progress().startswith("image 2 of 2: ")
    ended = run(station, an_assignment())
    assert ended.reason is None
    assert [spec.image for spec in bench.runner.created] == ["sha256:afl"]
    assert not bench.runner.builds
    assert not stale.exists()


def test_an_image_that_is_there_is_not_pulled_again(bench: Bench, server: MemoryShelf) -> None:
    prepare(bench.station(), broadcast(bench))
    bench.stations[0].release()
    server.up = False
    assert prepare(bench.stations[0], broadcast(bench)).unfit == ""
    assert bench.registry
    assert len(bench.registry.pulls) == 2


def test_only_what_can_run_here_is_pulled(bench: Bench, server: MemoryShelf) -> None:
    assert server.up
    text = '{"REPEAT": 1, "FUZZERS": ["afl", "libfuzzer"], "FUZZER_CAMPAIGN_WORKERS": {"afl": 5}, "TIMEOUT": "1m"}'
    news = prepare(bench.station(), broadcast(bench, text=text))
    assert (news.unfit, list(news.cannot)) == ("", ["afl"])
    assert bench.registry
    assert [image.fuzzer for image in bench.registry.pulls] == ["libfuzzer"]


def test_a_registry_that_is_away_makes_unfit_and_may_come_back(bench: Bench, server: MemoryShelf) -> None:
    server.up = False
    station = bench.station()
    assert "does not answer" in prepare(station, broadcast(bench)).unfit
    assert not bench.guards.held
    server.up = True
    assert prepare(station, broadcast(bench)).unfit == ""


def test_an_image_without_our_label_is_refused(bench: Bench, server: MemoryShelf) -> None:
    for at, image in server.images.items():
        server.images[at] = replace(image, digest="")
    assert "it has no label of ours" in prepare(bench.station(), broadcast(bench)).unfit


def test_images_for_another_user(bench: Bench, server: MemoryShelf, monkeypatch: pytest.MonkeyPatch) -> None:
    assert server.up
    monkeypatch.setattr(os, "getuid", lambda: 1001)
    unfit = prepare(bench.station(), broadcast(bench, uid=642)).unfit
    assert "made for user id 642, this process runs as 1001" in unfit
    assert not bench.registry or not bench.registry.pulls


@pytest.mark.parametrize("us", [0, 642], ids=["root", "the same"])
def test_users_that_may_run_an_image(monkeypatch: pytest.MonkeyPatch, us: int) -> None:
    monkeypatch.setattr(os, "getuid", lambda: us)
    preflight.check_user(642)


def test_a_worker_without_registry_says_so(bench: Bench) -> None:
    assert "add REGISTRY" in prepare(bench.station(), broadcast(bench)).unfit
    assert not bench.runner.builds


def test_a_dispatcher_without_registry_and_a_worker_without_tree(bench: Bench, server: MemoryShelf) -> None:
    assert server.up
    assert "settings have no MAGMA" in prepare(bench.station(), broadcast(bench, images=(), uid=0, gid=0)).unfit


def test_a_dispatcher_without_registry_and_a_worker_with_both(bench: Bench) -> None:
    bench.registry = MemoryRegistry(bench.runner)
    assert prepare(bench.station(), broadcast(bench, images=(), uid=0, gid=0)).unfit == ""
    assert len(bench.runner.builds) == 2
