from __future__ import annotations

import os
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from magma_remote.errors import EngineError
from magma_remote.runtime.station import health as station_health
from magma_remote.runtime.station.health import ROOM, Health
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("free", "running", "enough"),
    [
        pytest.param(ROOM, 0, True, id="room"),
        pytest.param(ROOM - 1, 0, False, id="too-little"),
        pytest.param(2 * ROOM, 2, False, id="others-need-it"),
    ],
)
def test_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, running: int, *, enough: bool) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_bavail=free, f_frsize=1, f_flag=0, f_files=0))
    said = Health(tmp_path, lambda: None).obstacle(running)
    assert (said == "") == enough
    assert enough or str(tmp_path) in said


def test_workdirs_that_are_gone(tmp_path: Path) -> None:
    assert "cannot be used" in Health(tmp_path / "gone", lambda: None).obstacle(0)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(station_health, "ROOM", 0)
    monkeypatch.setattr(station_health, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(station_health, "_SILENT_SECONDS", 0.02)


@pytest.mark.usefixtures("quick")
def test_an_engine_that_goes_and_comes(tmp_path: Path) -> None:
    gone = [EngineError("gone")]

    def check() -> None:
        if gone:
            raise gone[0]

    health = Health(tmp_path, check)
    until(lambda: health.obstacle(0) == "gone")
    gone.clear()
    until(lambda: health.obstacle(0) == "")


@pytest.mark.usefixtures("quick")
def test_an_engine_that_does_not_answer_blocks_nobody(tmp_path: Path) -> None:
    answer = threading.Event()
    health = Health(tmp_path, answer.wait)
    assert health.obstacle(0) == ""
    until(lambda: "has not answered" in health.obstacle(0))
    answer.set()
    until(lambda: health.obstacle(0) == "")


@pytest.mark.usefixtures("quick")
def test_it_is_not_asked_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(station_health, "_LOOK_SECONDS", 60.0)
    asked: list[int] = []
    health = Health(tmp_path, lambda: asked.append(1))
    for _ in range(50):
        health.obstacle(0)
    until(lambda: asked)
    health.obstacle(0)
    assert asked == [1]


@pytest.mark.usefixtures("quick")
def test_a_doubt_stands_until_the_engine_answers(tmp_path: Path) -> None:
    answer = threading.Event()
    health = Health(tmp_path, answer.wait)
    health.doubt("in trouble")
    assert health.obstacle(0) == "in trouble"
    answer.set()
    until(lambda: health.obstacle(0) == "")


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        pytest.param({"f_flag": os.ST_RDONLY}, "read-only", id="read-only"),
        pytest.param({"f_favail": 10}, "10 more files", id="no inodes"),
    ],
)
def test_a_disk_that_takes_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, facts: dict[str, int], says: str
) -> None:
    room = {"f_bavail": 1 << 30, "f_frsize": 4096, "f_flag": 0, "f_files": 1 << 20, "f_favail": 1 << 20}
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(**room | facts))
    assert says in Health(tmp_path, lambda: None).obstacle(0)
