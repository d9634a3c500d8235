"""From a fetched folder to WORKDIR, killed anywhere."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.adapters.transfer_local import LocalTransfer, copy_result
from magma_remote.errors import CorruptError, StorageError, TransferError
from magma_remote.model.layout import Workdir
from magma_remote.runtime.dispatcher.results import MergedResults
from magma_remote.runtime.workdir.entering import execution_path, manifest_path
from magma_remote.runtime.workdir.manifest import verify, write_manifest
from tests.support.workdirs.result import JOB, RUN, a_result, contents, entry_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from magma_remote.model.entries import RunEntry
    from magma_remote.model.messages import Place

SHM = Path("/dev/shm")
TRIAL = f"ar/{JOB.fuzzer}/{JOB.target}/{JOB.program}/{JOB.repeat}"
POC = f"{JOB.fuzzer}_{JOB.target}_{JOB.program}_AAH001.0123abcd"


@dataclass
class Lab:
    """A worker's folder, TEMP_RESULTS and WORKDIR."""

    results: MergedResults
    run: RunEntry
    expected: dict[str, Any]

    @property
    def source(self) -> Path:
        assert self.run.place
        return Path(self.run.place.folder)

    @property
    def temp(self) -> Path:
        return self.results.temp / self.source.name

    @property
    def root(self) -> Path:
        return self.results.workdir.root

    def assert_merged(self) -> None:
        found = contents(self.root)
        own = ("manifests", "executions", "merging")
        parts = {path: facts for path, facts in found.items() if path.split("/")[0] not in own}
        assert parts == self.expected
        assert manifest_path(self.results.workdir, JOB).read_bytes() == (self.source / "manifest.json").read_bytes()
        told = json.loads(execution_path(self.results.workdir, JOB).read_text())
        assert (told["run"], told["worker"], told["attempt"]) == (RUN, "w1", 1)
        assert told["manifest"] == self.run.manifest
        self.results.finish()
        assert not self.results.temp.exists()
        assert not self.results.merging.exists()


def a_lab(here: Path, temp: Path) -> Lab:
    run = a_result(here / "workdirs")
    workdir = Workdir(here / "workdir")
    workdir.root.mkdir()
    results = MergedResults(temp=temp / "temp", workdir=workdir, transfer=LocalTransfer(), copy=copy_result)
    assert run.place
    wanted = contents(Path(run.place.folder))
    known = ("ar", "log", "poc", "trials")
    expected = {path: facts for path, facts in wanted.items() if path.split("/")[0] in known}
    return Lab(results, run, expected)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return a_lab(tmp_path, tmp_path)


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    if SHM.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("/dev/shm and the tests' folder are one file system")
    with TemporaryDirectory(dir=SHM) as folder:
        yield Path(folder)


def test_a_result_is_fetched_and_merged(lab: Lab) -> None:
    lab.results.fetch(lab.run)
    verify(lab.temp, lab.run.manifest)
    inode = (lab.temp / TRIAL / "big").stat().st_ino
    lab.results.merge(lab.run, JOB)
    assert (lab.root / TRIAL / "big").stat().st_ino == inode
    lab.assert_merged()


def test_the_worker_may_delete_what_was_fetched(lab: Lab, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    shutil.copytree(lab.source, kept, symlinks=True)
    lab.results.fetch(lab.run)
    shutil.rmtree(lab.source)
    lab.results.merge(lab.run, JOB)
    kept.rename(lab.source)
    lab.assert_merged()


def test_a_trials_folder_that_its_fuzzer_closed(lab: Lab) -> None:
    (lab.source / TRIAL).chmod(0o500)
    run = entry_of(lab.source, write_manifest(lab.source))
    lab.results.fetch(run)
    lab.results.merge(run, JOB)
    assert (lab.root / TRIAL).stat().st_mode & 0o777 == 0o500
    verify(lab.source, run.manifest)


def test_to_another_file_system(tmp_path: Path, other_disk: Path) -> None:
    lab = a_lab(tmp_path, other_disk)
    lab.results.fetch(lab.run)
    lab.results.merge(lab.run, JOB)
    assert not lab.temp.exists()
    lab.assert_merged()


# What changes something; each of them is a moment at which the dispatcher may die.
CALLS = ("mkdir", "rename", "replace", "chmod", "unlink", "rmdir", "symlink", "link", "fsync", "utime", "open")


def die_at(number: int, act: Callable[[], object]) -> bool:
    """Do it in a child that kills itself at its n-th call that changes something; whether it came that far."""
    child = os.fork()
    if not child:
        try:
            _arm(number)
            act()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert status == 0 or os.WIFSIGNALED(status), "the child failed by itself"
    return status != 0


def _arm(number: int) -> None:
    left = [number]

    def deadly(call: Callable[..., Any]) -> Callable[..., Any]:
        def count(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return count

    for name in CALLS:
        setattr(os, name, deadly(getattr(os, name)))


@pytest.mark.parametrize("far", [False, True], ids=["same file system", "another"])
def test_a_merge_that_is_killed_anywhere_is_completed(tmp_path: Path, other_disk: Path, *, far: bool) -> None:
    number = 0
    died = True
    while died:
        number += 2 if far else 1
        here, there = tmp_path / str(number), (other_disk if far else tmp_path) / str(number)
        here.mkdir()
        there.mkdir(exist_ok=True)
        lab = a_lab(here, there)
        lab.results.fetch(lab.run)
        died = die_at(number, lambda: lab.results.merge(lab.run, JOB))  # noqa: B023 - called at once
        recorded = lab.results.workdir.record(JOB).exists()
        assert not recorded or (lab.root / TRIAL / "big").exists()
        if lab.temp.exists() or (lab.results.merging / lab.temp.name).exists():
            with pytest.raises(StorageError, match="not merged"):
                lab.results.finish()
        lab.results.merge(lab.run, JOB)
        lab.results.merge(lab.run, JOB)
        lab.assert_merged()
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
        lab = a_lab(here, there)
        died = die_at(number, lambda: lab.results.fetch(lab.run))  # noqa: B023 - called at once
        lab.results.fetch(lab.run)
        verify(lab.temp, lab.run.manifest)
        verify(lab.source, lab.run.manifest)
        shutil.rmtree(here)
    assert number > 20


@dataclass(frozen=True)
class Spoiled:
    """A transfer that brings everything, and then something happens to it."""

    spoil: Callable[[Path], object]

    def fetch(self, place: Place, destination: Path) -> None:
        LocalTransfer().fetch(place, destination)
        self.spoil(destination)


def fail(_: Path) -> None:
    raise TransferError("the line broke")


def test_what_came_altered_is_wiped_and_fetched_again(lab: Lab) -> None:
    spoiled = replace(lab.results, transfer=Spoiled(lambda folder: (folder / TRIAL / "big").unlink()))
    with pytest.raises(CorruptError, match=r'missing: ".*big"'):
        spoiled.fetch(lab.run)
    assert list(lab.results.temp.iterdir()) == []
    lab.results.fetch(lab.run)
    lab.results.merge(lab.run, JOB)
    lab.assert_merged()


def test_what_came_in_part_is_kept(lab: Lab) -> None:
    with pytest.raises(TransferError, match="line broke"):
        replace(lab.results, transfer=Spoiled(fail)).fetch(lab.run)
    (part,) = lab.results.temp.iterdir()
    assert (part / TRIAL / "big").exists()
    lab.results.fetch(lab.run)
    assert [path.name for path in lab.results.temp.iterdir()] == [lab.temp.name]


def test_a_fetched_result_needs_its_worker_no_more(lab: Lab) -> None:
    lab.results.fetch(lab.run)
    replace(lab.results, transfer=Spoiled(fail)).fetch(lab.run)
    verify(lab.temp, lab.run.manifest)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(lambda root: (root / TRIAL / "out").symlink_to("../../.."), "link", id="link of a trial"),
        pytest.param(lambda root: (root / "log/link").symlink_to("x"), "no part", id="link in log"),
        pytest.param(lambda root: (root / "ledger.sqlite").touch(), "no part", id="file at the top"),
        pytest.param(lambda root: (root / "staging/x").touch(), "no part", id="file in staging"),
        pytest.param(lambda root: (root / "trials/.x").touch(), "no part", id="hidden record"),
        pytest.param(lambda root: (root / f"{TRIAL[:-1]}4").mkdir(), "2 trials", id="two trials"),
        pytest.param(lambda root: shutil.rmtree(root / TRIAL), "0 trials", id="no trial"),
    ],
)
def test_a_folder_of_another_shape_is_refused(lab: Lab, change: Callable[[Path], object], told: str) -> None:
    change(lab.source)
    run = entry_of(lab.source, write_manifest(lab.source))
    with pytest.raises(CorruptError, match=told):
        lab.results.fetch(run)
    assert list(lab.results.temp.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda root: (root / "log/other_lib_build_1.log").touch(), id="a build of others"),
        pytest.param(lambda root: (root / "poc/other_lib_x_A.1").touch(), id="a case of others"),
        pytest.param(lambda root: (root / "trials/other,lib,x,0.json").touch(), id="a record of others"),
        pytest.param(lambda root: next((root / "trials").iterdir()).unlink(), id="no record"),
    ],
)
def test_files_of_another_job_do_not_enter(lab: Lab, change: Callable[[Path], object]) -> None:
    change(lab.source)
    run = entry_of(lab.source, write_manifest(lab.source))
    lab.results.fetch(run)
    before = contents(lab.root)
    with pytest.raises(CorruptError, match="the result of run"):
        lab.results.merge(run, JOB)
    assert {path for path in contents(lab.root) if not path.startswith("merging")} == set(before)


def test_another_jobs_result_does_not_enter(lab: Lab) -> None:
    lab.results.fetch(lab.run)
    with pytest.raises(CorruptError, match="is not that of"):
        lab.results.merge(lab.run, replace(JOB, repeat=4))
    lab.results.merge(lab.run, JOB)
    lab.assert_merged()


def second_run(lab: Lab) -> RunEntry:
    """Another run of the same job, fetched."""
    other = a_result(lab.root.parent / "other", word="second")
    root = lab.root.parent / "other/workdir_c0ffee_7-ffffff"
    assert other.place
    Path(other.place.folder).rename(root)
    run = entry_of(root, other.manifest, worker="w2")
    lab.results.fetch(run)
    return run


def test_another_runs_result_is_never_overwritten(lab: Lab) -> None:
    lab.results.fetch(lab.run)
    lab.results.merge(lab.run, JOB)
    late = second_run(lab)
    with pytest.raises(CorruptError, match="from another run"):
        lab.results.merge(late, JOB)
    lab.results.discard(late)
    lab.assert_merged()


def test_what_is_not_ours_is_never_overwritten(lab: Lab) -> None:
    (lab.root / TRIAL).mkdir(parents=True)
    (lab.root / TRIAL / "ball.tar").write_text("somebody's")
    lab.results.fetch(lab.run)
    with pytest.raises(CorruptError, match="from another run"):
        lab.results.merge(lab.run, JOB)
    assert (lab.root / TRIAL / "ball.tar").read_text() == "somebody's"


def test_a_result_that_was_lost_half_merged_gives_way(lab: Lab) -> None:
    first = second_run(lab)
    for number in range(1, 40):
        if (lab.root / TRIAL).exists():
            break
        assert die_at(number, lambda: lab.results.merge(first, JOB))
    assert not lab.results.workdir.record(JOB).exists()
    shutil.rmtree(lab.results.merging)
    with pytest.raises(CorruptError, match="is gone"):
        lab.results.merge(first, JOB)
    lab.results.fetch(lab.run)
    lab.results.merge(lab.run, JOB)
    lab.assert_merged()


def test_a_result_that_is_nowhere_is_told(lab: Lab) -> None:
    with pytest.raises(CorruptError, match="is gone"):
        lab.results.merge(lab.run, JOB)


def test_equal_cases_stand_once_and_different_ones_twice(lab: Lab) -> None:
    lab.results.workdir.pocs.mkdir()
    (lab.root / "poc" / POC).write_bytes(b"another")
    lab.results.fetch(lab.run)
    lab.results.merge(lab.run, JOB)
    both = {path.name: path.read_bytes() for path in (lab.root / "poc").iterdir()}
    assert both == {POC: b"another", f"{POC}.{hashlib.sha256(b'poc').hexdigest()}": b"poc"}


def test_a_build_log_of_another_trial_is_replaced(lab: Lab) -> None:
    log = lab.results.workdir.build_log(JOB.fuzzer, JOB.target, "10.0.0.1")
    log.parent.mkdir()
    log.write_text("older")
    lab.results.fetch(lab.run)
    lab.results.merge(lab.run, JOB)
    assert log.read_text() == "build of first\n"


def test_a_workdir_that_takes_nothing_is_told_and_nothing_is_lost(lab: Lab) -> None:
    lab.results.fetch(lab.run)
    lab.results.workdir.logs.write_text("in the way")
    with pytest.raises(StorageError, match="log"):
        lab.results.merge(lab.run, JOB)
    lab.results.workdir.logs.unlink()
    lab.results.merge(lab.run, JOB)
    lab.assert_merged()


@pytest.mark.parametrize("state", ["in part", "fetched", "on its way"])
def test_a_superseded_result_is_removed(lab: Lab, state: str) -> None:
    if state == "in part":
        with pytest.raises(TransferError):
            replace(lab.results, transfer=Spoiled(fail)).fetch(lab.run)
    else:
        lab.results.fetch(lab.run)
    if state == "on its way":
        assert die_at(5, lambda: lab.results.merge(lab.run, JOB))
    lab.results.discard(lab.run)
    lab.results.discard(lab.run)
    lab.results.finish()
    assert not lab.results.temp.exists()


def test_the_end_waits_for_what_is_not_merged(lab: Lab) -> None:
    lab.results.finish()
    lab.results.fetch(lab.run)
    with pytest.raises(StorageError, match="not merged"):
        lab.results.finish()
    verify(lab.temp, lab.run.manifest)


@pytest.mark.parametrize("name", ["workdir_c0ffee_8-0a1b2c", "..", "."])
def test_a_folder_that_is_not_the_runs_is_refused(lab: Lab, name: str) -> None:
    assert lab.run.place
    run = replace(lab.run, place=replace(lab.run.place, folder=f"{lab.source.parent}/{name}"))
    for act in (lab.results.fetch, lab.results.discard, lambda it: lab.results.merge(it, JOB)):
        with pytest.raises(CorruptError, match="cannot be in a folder"):
            act(run)
