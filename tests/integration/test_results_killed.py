"""From a fetched folder to WORKDIR, killed anywhere."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from magma_remote.errors import CorruptError, StorageError
from magma_remote.runtime.workdir.manifest import verify
from tests.support.dying import die_at
from tests.support.workdirs.arrival import TRIAL, Arrival, an_arrival, second_run
from tests.support.workdirs.result import JOB

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("far", [False, True], ids=["same file system", "another"])
def test_a_merge_that_is_killed_anywhere_is_completed(tmp_path: Path, other_disk: Path, *, far: bool) -> None:
    number = 0
    died = True
    while died:
        number += 2 if far else 1
        here, there = tmp_path / str(number), (other_disk if far else tmp_path) / str(number)
        here.mkdir()
        there.mkdir(exist_ok=True)
        arrival = an_arrival(here, there)
        arrival.results.fetch(arrival.run)
        died = die_at(number, lambda: arrival.results.merge(arrival.run, JOB))  # noqa: B023 - called at once
        recorded = arrival.results.workdir.record(JOB).exists()
        assert not recorded or (arrival.root / TRIAL / "big").exists()
        if arrival.temp.exists() or (arrival.results.merging / arrival.temp.name).exists():
            with pytest.raises(StorageError, match="not merged"):
                arrival.results.finish()
        arrival.results.merge(arrival.run, JOB)
        arrival.results.merge(arrival.run, JOB)
        arrival.assert_merged()
        shutil.rmtree(here)
    assert number > 20


@pytest.mark.parametrize("far", [False, True], ids=["same file system", "another"])
def test_a_fetch_that_is_killed_anywhere_is_completed(tmp_path: Path, other_disk: Path, *, far: bool) -> None:
    number = 0
    died = True
    while died:
        number += 3
        here, there = tmp_path / str(number), (other_disk if far else tmp_path) / str(number)
        here.mkdir()
        there.mkdir(exist_ok=True)
        arrival = an_arrival(here, there)
        died = die_at(number, lambda: arrival.results.fetch(arrival.run))  # noqa: B023 - called at once
        arrival.results.fetch(arrival.run)
        verify(arrival.temp, arrival.run.manifest)
        verify(arrival.source, arrival.run.manifest)
        shutil.rmtree(here)
    assert number > 20


def test_a_result_that_was_lost_half_merged_gives_way(arrival: Arrival) -> None:
    first = second_run(arrival)
    for number in range(1, 40):
        if (arrival.root / TRIAL).exists():
            break
        assert die_at(number, lambda: arrival.results.merge(first, JOB))
    assert not arrival.results.workdir.record(JOB).exists()
    shutil.rmtree(arrival.results.merging)
    with pytest.raises(CorruptError, match="is gone"):
        arrival.results.merge(first, JOB)
    arrival.results.fetch(arrival.run)
    arrival.results.merge(arrival.run, JOB)
    arrival.assert_merged()
