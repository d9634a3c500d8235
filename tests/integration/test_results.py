"""From a fetched folder to WORKDIR."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.transfer_local import LocalTransfer
from magma_remote.errors import CorruptError, StorageError, TransferError
from magma_remote.runtime.workdir.manifest import verify, write_manifest
from tests.support.dying import die_at
from tests.support.workdirs.arrival import TRIAL, Arrival, an_arrival
from tests.support.workdirs.result import JOB, entry_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from magma_remote.model.messages import Place

POC = f"{JOB.fuzzer}_{JOB.target}_{JOB.program}_AAH001.0123abcd"


def test_a_result_is_fetched_and_merged(arrival: Arrival) -> None:
    arrival.results.fetch(arrival.run)
    verify(arrival.temp, arrival.run.manifest)
    inode = (arrival.temp / TRIAL / "big").stat().st_ino
    arrival.results.merge(arrival.run, JOB)
    assert (arrival.root / TRIAL / "big").stat().st_ino == inode
    arrival.assert_merged()


def test_the_worker_may_delete_what_was_fetched(arrival: Arrival, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    shutil.copytree(arrival.source, kept, symlinks=True)
    arrival.results.fetch(arrival.run)
    shutil.rmtree(arrival.source)
    arrival.results.merge(arrival.run, JOB)
    kept.rename(arrival.source)
    arrival.assert_merged()


def test_a_trials_folder_that_its_fuzzer_closed(arrival: Arrival) -> None:
    (arrival.source / TRIAL).chmod(0o500)
    run = entry_of(arrival.source, write_manifest(arrival.source))
    arrival.results.fetch(run)
    arrival.results.merge(run, JOB)
    assert (arrival.root / TRIAL).stat().st_mode & 0o777 == 0o500
    verify(arrival.source, run.manifest)


def test_to_another_file_system(tmp_path: Path, other_disk: Path) -> None:
    arrival = an_arrival(tmp_path, other_disk)
    arrival.results.fetch(arrival.run)
    arrival.results.merge(arrival.run, JOB)
    assert not arrival.temp.exists()
    arrival.assert_merged()


@dataclass(frozen=True)
class Spoiled:
    """A transfer that brings everything, and then something happens to it."""

    spoil: Callable[[Path], object]

    def fetch(self, place: Place, destination: Path) -> None:
        LocalTransfer().fetch(place, destination)
        self.spoil(destination)


def fail(_: Path) -> None:
    raise TransferError("the line broke")


def test_what_came_altered_is_wiped_and_fetched_again(arrival: Arrival) -> None:
    spoiled = replace(arrival.results, transfer=Spoiled(lambda folder: (folder / TRIAL / "big").unlink()))
    with pytest.raises(CorruptError, match=r'missing: ".*big"'):
        spoiled.fetch(arrival.run)
    assert list(arrival.results.temp.iterdir()) == []
    arrival.results.fetch(arrival.run)
    arrival.results.merge(arrival.run, JOB)
    arrival.assert_merged()


def test_what_came_in_part_is_kept(arrival: Arrival) -> None:
    with pytest.raises(TransferError, match="line broke"):
        replace(arrival.results, transfer=Spoiled(fail)).fetch(arrival.run)
    (part,) = arrival.results.temp.iterdir()
    assert (part / TRIAL / "big").exists()
    arrival.results.fetch(arrival.run)
    assert [path.name for path in arrival.results.temp.iterdir()] == [arrival.temp.name]


def test_a_fetched_result_needs_its_worker_no_more(arrival: Arrival) -> None:
    arrival.results.fetch(arrival.run)
    replace(arrival.results, transfer=Spoiled(fail)).fetch(arrival.run)
    verify(arrival.temp, arrival.run.manifest)


def test_equal_cases_stand_once_and_different_ones_twice(arrival: Arrival) -> None:
    arrival.results.workdir.pocs.mkdir()
    (arrival.root / "poc" / POC).write_bytes(b"another")
    arrival.results.fetch(arrival.run)
    arrival.results.merge(arrival.run, JOB)
    both = {path.name: path.read_bytes() for path in (arrival.root / "poc").iterdir()}
    assert both == {POC: b"another", f"{POC}.{hashlib.sha256(b'poc').hexdigest()}": b"poc"}


def test_a_build_log_of_another_trial_is_replaced(arrival: Arrival) -> None:
    log = arrival.results.workdir.build_log(JOB.fuzzer, JOB.target, "10.0.0.1")
    log.parent.mkdir()
    log.write_text("older")
    arrival.results.fetch(arrival.run)
    arrival.results.merge(arrival.run, JOB)
    assert log.read_text() == "build of first\n"


def test_a_workdir_that_takes_nothing_is_told_and_nothing_is_lost(arrival: Arrival) -> None:
    arrival.results.fetch(arrival.run)
    arrival.results.workdir.logs.write_text("in the way")
    with pytest.raises(StorageError, match="log"):
        arrival.results.merge(arrival.run, JOB)
    arrival.results.workdir.logs.unlink()
    arrival.results.merge(arrival.run, JOB)
    arrival.assert_merged()


@pytest.mark.parametrize("state", ["in part", "fetched", "on its way"])
def test_a_superseded_result_is_removed(arrival: Arrival, state: str) -> None:
    if state == "in part":
        with pytest.raises(TransferError):
            replace(arrival.results, transfer=Spoiled(fail)).fetch(arrival.run)
    else:
        arrival.results.fetch(arrival.run)
    if state == "on its way":
        assert die_at(5, lambda: arrival.results.merge(arrival.run, JOB))
    arrival.results.discard(arrival.run)
    arrival.results.discard(arrival.run)
    arrival.results.finish()
    assert not arrival.results.temp.exists()


def test_the_end_waits_for_what_is_not_merged(arrival: Arrival) -> None:
    arrival.results.finish()
    arrival.results.fetch(arrival.run)
    with pytest.raises(StorageError, match="not merged"):
        arrival.results.finish()
    verify(arrival.temp, arrival.run.manifest)
