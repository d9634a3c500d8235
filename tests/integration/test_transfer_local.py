"""Results of a worker on the dispatcher's own machine."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.ssh import Ssh
from magma_remote.adapters.transfer import LocalFirst, transfer_for
from magma_remote.adapters.transfer_local import LocalTransfer, copy_result
from magma_remote.errors import CorruptError, TransferError, UsageError
from magma_remote.runtime.workdir.manifest import verify
from tests.support.workdirs.result import JOB, a_result, contents

if TYPE_CHECKING:
    from magma_remote.model.entries import RunEntry
    from magma_remote.model.messages import Place

BIG = f"ar/{JOB.fuzzer}/{JOB.target}/{JOB.program}/{JOB.repeat}/big"
SHM = Path("/dev/shm")


@dataclass
class Far:
    """A transfer that remembers what it was asked."""

    asked: list[Place] = field(default_factory=list)

    def fetch(self, place: Place, destination: Path) -> None:
        self.asked.append(place)

    def marks(self, place: Place) -> dict[str, bytes]:
        self.asked.append(place)
        return {}


@pytest.fixture
def run(tmp_path: Path) -> RunEntry:
    run = a_result(tmp_path / "workdirs")
    (tmp_path / "workdirs/worker.json").write_text(json.dumps({"version": 1, "worker": "token", "name": "w"}))
    return run


def place_of(run: RunEntry) -> Place:
    assert run.place
    return run.place


def test_on_this_machine_nothing_goes_over_ssh(run: RunEntry, tmp_path: Path) -> None:
    far = Far()
    LocalFirst(remote=far).fetch(place_of(run), tmp_path / "here")
    verify(tmp_path / "here", run.manifest)
    assert not far.asked


@pytest.mark.parametrize(
    "text",
    [None, "", "[]", '{"worker": "another"}', '{"worker": null}', "[" * 9999],
    ids=["none", "empty", "list", "another", "null", "deep"],
)
def test_another_machines_folder_goes_over_ssh(run: RunEntry, tmp_path: Path, text: str | None) -> None:
    own = tmp_path / "workdirs/worker.json"
    own.unlink()
    if text is not None:
        own.write_text(text)
    far = Far()
    LocalFirst(remote=far).fetch(place_of(run), tmp_path / "here")
    assert far.asked == [place_of(run)]


def test_a_worker_without_a_token_is_nowhere(run: RunEntry, tmp_path: Path) -> None:
    (tmp_path / "workdirs/worker.json").write_text('{"worker": ""}')
    assert not LocalTransfer().holds(replace(place_of(run), token=""))


def test_files_cost_no_room_and_outlive_the_workers(run: RunEntry, tmp_path: Path) -> None:
    source, here = Path(place_of(run).folder), tmp_path / "here"
    before = contents(source)
    LocalTransfer().fetch(place_of(run), here)
    assert (here / BIG).samefile(source / BIG)
    shutil.rmtree(source)
    assert contents(here) == before
    verify(here, run.manifest)


def test_to_another_file_system(run: RunEntry, tmp_path: Path) -> None:
    if SHM.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("/dev/shm and the tests' folder are one file system")
    with TemporaryDirectory(dir=SHM) as folder:
        here = Path(folder) / "here"
        LocalTransfer().fetch(place_of(run), here)
        verify(here, run.manifest)
        old = (Path(place_of(run).folder) / BIG).stat()
        assert (here / BIG).stat().st_mtime_ns == old.st_mtime_ns


def test_a_copy_is_gone_on_with(run: RunEntry, tmp_path: Path) -> None:
    source, here = Path(place_of(run).folder), tmp_path / "here"
    copy_result(source, here)
    whole = (here / BIG).stat()
    os.truncate(here / BIG, 100)
    (here / "manifest.json").unlink()
    copy_result(source, here)
    verify(here, run.manifest)
    assert (here / BIG).stat().st_ino == whole.st_ino
    assert not (here / BIG).samefile(source / BIG)


def test_the_workers_file_is_never_written_into(run: RunEntry, tmp_path: Path) -> None:
    source, here = Path(place_of(run).folder), tmp_path / "here"
    LocalTransfer().fetch(place_of(run), here)
    short = source / BIG
    data = short.read_bytes()
    os.truncate(short, 100)  # and with it its second name
    short.unlink()
    short.write_bytes(data)
    os.link(here / BIG, tmp_path / "third")
    copy_result(source, here)
    verify(here, run.manifest)
    assert (tmp_path / "third").stat().st_size == 100


@pytest.mark.parametrize("link", [True, False], ids=["linked", "copied"])
def test_a_link_in_a_files_place_is_not_followed(run: RunEntry, tmp_path: Path, *, link: bool) -> None:
    source, here = Path(place_of(run).folder), tmp_path / "here"
    (tmp_path / "secret").write_text("secret")
    (source / BIG).unlink()
    (source / BIG).symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic") if not link else pytest.raises(CorruptError):
        copy_result(source, here, link=link)
        verify(here, run.manifest)


def test_a_folder_that_is_gone_is_told(run: RunEntry, tmp_path: Path) -> None:
    shutil.rmtree(place_of(run).folder)
    with pytest.raises(TransferError, match="No such file"):
        LocalTransfer().fetch(place_of(run), tmp_path / "here")


def test_a_manifest_that_leaves_its_folder_is_refused(run: RunEntry, tmp_path: Path) -> None:
    entry = {"path": "../../out", "kind": "link", "target": "x"}
    text = json.dumps({"version": 1, "entries": [entry]})
    (Path(place_of(run).folder) / "manifest.json").write_text(text)
    with pytest.raises(CorruptError, match="no path inside"):
        LocalTransfer().fetch(place_of(run), tmp_path / "here/x")
    assert not (tmp_path / "out").is_symlink()


def test_another_way_to_copy_is_refused() -> None:
    with pytest.raises(UsageError, match="rsync and scp"):
        transfer_for("ftp", Ssh())
