from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.memory_guards import MemoryGuards
from magma_remote.errors import StorageError, UsageError
from magma_remote.runtime.station.folders import open_workdirs

if TYPE_CHECKING:
    from pathlib import Path


def test_workdirs_are_made_once_and_taken_over(tmp_path: Path) -> None:
    place, guards = tmp_path / "deep" / "workdirs", MemoryGuards()
    with open_workdirs(place, "w1", guards) as first:
        assert guards.held == {place}
    with open_workdirs(place, "w1", guards) as second:
        assert second == first
    assert not guards.held
    assert len(first) == 12
    assert json.loads((place / "worker.json").read_text()) == {"version": 1, "worker": first, "name": "w1"}


def test_two_workdirs_are_two_workers(tmp_path: Path) -> None:
    with (
        open_workdirs(tmp_path / "a", "w1", MemoryGuards()) as one,
        open_workdirs(tmp_path / "b", "w1", MemoryGuards()) as two,
    ):
        assert one != two


@pytest.mark.parametrize(
    ("files", "words"),
    [
        pytest.param({"campaign.json": "{}"}, ["not empty", "campaign.json"], id="something-else"),
        pytest.param({"worker.json": '{"version": 1, "worker": "a", "name": "w2"}'}, ["worker w2", "NAME"], id="name"),
        pytest.param({"worker.json": '{"version": 9}'}, ["version"], id="version"),
        pytest.param({"worker.json": "{"}, ["cannot be read", "WORKDIRS"], id="no-json"),
        pytest.param({"worker.json": "[]"}, ["version"], id="no-object"),
    ],
)
def test_what_is_not_this_workers_is_refused(tmp_path: Path, files: dict[str, str], words: list[str]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UsageError) as caught, open_workdirs(tmp_path, "w1", MemoryGuards()):
        pass
    assert all(word in str(caught.value) for word in [*words, str(tmp_path)])
    assert sorted(tmp_path.iterdir()) == before


def test_a_start_that_was_killed_early_is_no_obstacle(tmp_path: Path) -> None:
    for name in (".lock", ".worker.json.new"):
        (tmp_path / name).write_text("")
    with open_workdirs(tmp_path, "w1", MemoryGuards()) as worker:
        assert worker


def test_a_live_worker_has_its_workdirs(tmp_path: Path) -> None:
    guards = MemoryGuards()
    with open_workdirs(tmp_path, "w1", guards), pytest.raises(StorageError), open_workdirs(tmp_path, "w1", guards):
        pass


def test_a_place_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StorageError, match="another folder as WORKDIRS"),
        open_workdirs(tmp_path / "file" / "w", "w1", MemoryGuards()),
    ):
        pass


def test_an_error_of_the_block_stays_its_own(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), open_workdirs(tmp_path, "w1", MemoryGuards()):
        (tmp_path / "none").read_text()
