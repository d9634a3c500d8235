"""From SHARED to `ar/`: whole or not at all."""

from __future__ import annotations

import os
import resource
import socket
import tarfile
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.errors import StorageError
from magma_remote.model.jobs import Job
from magma_remote.runtime.files import remove_tree
from magma_remote.runtime.trial.archive import publish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from magma_remote.model.layout import Workdir

JOB = Job(repeat=3, fuzzer="afl", target="libpng", program="readpng")
BIG = 1 << 20


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """What a trial leaves, with all that a fuzzer may make."""
    folder = tmp_path / "shared"
    (folder / "monitor").mkdir(parents=True)
    (folder / "monitor/5").write_text("A_R,A_T\n1,0\n")
    (folder / "findings").mkdir()
    (folder / "findings/id:000,sig:06").write_bytes(b"x" * BIG)
    (folder / "findings/link").symlink_to("/nowhere/at/all")
    (folder / "findings" / os.fsdecode(b"seed-\xff")).touch()
    (folder / "empty").mkdir()
    return folder


@contextmanager
def small_files(limit: int) -> Iterator[None]:
    """The kernel refuses to write beyond this size, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_tarball_as_tar_makes_it(shared: Path, workdir: Workdir) -> None:
    publish(shared, workdir, JOB, plain=False)
    entry = workdir.ar / "afl/libpng/readpng/3"
    assert [path.name for path in entry.iterdir()] == ["ball.tar"]
    with tarfile.open(entry / "ball.tar") as tar:
        names = tar.getnames()
        assert all(name == "." or name.startswith("./") for name in names)
        assert set(names) == {
            ".",
            "./monitor",
            "./monitor/5",
            "./findings",
            "./findings/id:000,sig:06",
            "./findings/link",
            os.fsdecode(b"./findings/seed-\xff"),
            "./empty",
        }
        assert [name for name in names if name.endswith("monitor")] == ["./monitor"]
        assert tar.getmember("./findings/link").issym()


def test_plain_files(shared: Path, workdir: Workdir) -> None:
    publish(shared, workdir, JOB, plain=True)
    entry = workdir.entry(JOB)
    assert (entry / "monitor/5").read_text() == "A_R,A_T\n1,0\n"
    assert (entry / "findings/link").is_symlink()
    assert (entry / "empty").is_dir()


@pytest.mark.parametrize("plain", [False, True], ids=["tar", "plain"])
def test_a_fuzzers_socket_and_pipe_cost_no_trial(shared: Path, workdir: Workdir, *, plain: bool) -> None:
    os.mkfifo(shared / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(shared, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
    publish(shared, workdir, JOB, plain=plain)
    assert workdir.entry(JOB).is_dir()


@pytest.mark.parametrize("plain", [False, True], ids=["tar", "plain"])
def test_folders_deeper_than_python_recurses(shared: Path, workdir: Workdir, *, plain: bool) -> None:
    deepest = shared.joinpath(*["d"] * 1_500)
    inner = "./" + "d/" * 1_500
    for count in range(1, 1_501):
        shared.joinpath(*["d"] * count).mkdir()
    (deepest / "crash").write_text("x")
    publish(shared, workdir, JOB, plain=plain)
    entry = workdir.entry(JOB)
    if plain:
        assert (entry / f"{inner}crash").read_text() == "x"
    else:
        with tarfile.open(entry / "ball.tar") as tar:
            assert f"{inner}crash" in tar.getnames()
    for folder in (shared, entry):  # pytest's own way ends at 1,000 folders in folders
        remove_tree(folder)
        assert not folder.exists()


def _assert_untouched(shared: Path, workdir: Workdir) -> None:
    assert not list(workdir.ar.glob("*/*/*/*"))
    assert not list(workdir.staging.iterdir())
    assert (shared / "findings/id:000,sig:06").stat().st_size == BIG


@pytest.mark.parametrize("plain", [False, True], ids=["tar", "plain"])
def test_a_disk_that_fills_up_leaves_no_entry(shared: Path, workdir: Workdir, *, plain: bool) -> None:
    with small_files(BIG // 2), pytest.raises(StorageError, match="readpng/3 could not be written"):
        publish(shared, workdir, JOB, plain=plain)
    _assert_untouched(shared, workdir)


def _vanishing(*_args: Any, **_kwargs: Any) -> None:
    raise OSError("unexpected end of data")


@pytest.mark.parametrize("call", ["tarfile.TarFile.addfile", "os.fsync"])
def test_an_error_in_the_middle_leaves_no_entry(
    shared: Path, workdir: Workdir, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(call, _vanishing)
    with pytest.raises(StorageError, match="unexpected end of data"):
        publish(shared, workdir, JOB, plain=False)
    _assert_untouched(shared, workdir)


def test_a_file_that_may_not_be_read_leaves_no_entry(shared: Path, workdir: Workdir) -> None:
    (shared / "monitor/5").chmod(0)
    if os.access(shared / "monitor/5", os.R_OK):
        pytest.skip("root may read everything")
    with pytest.raises(StorageError, match="Permission denied"):
        publish(shared, workdir, JOB, plain=False)
    _assert_untouched(shared, workdir)


def test_an_entry_is_never_overwritten(shared: Path, workdir: Workdir) -> None:
    publish(shared, workdir, JOB, plain=False)
    before = (workdir.entry(JOB) / "ball.tar").read_bytes()
    (shared / "monitor/10").touch()
    with pytest.raises(StorageError, match="could not be written"):
        publish(shared, workdir, JOB, plain=False)
    assert (workdir.entry(JOB) / "ball.tar").read_bytes() == before
    assert not list(workdir.staging.iterdir())


def test_what_a_killed_run_staged_is_not_mixed_in(shared: Path, workdir: Workdir) -> None:
    half = workdir.staging / "afl_libpng_readpng_3"
    half.mkdir()
    (half / "leftover").touch()
    publish(shared, workdir, JOB, plain=True)
    assert not (workdir.entry(JOB) / "leftover").exists()


def in_a_thread(act: Callable[[], None]) -> None:
    """A mask is a thread's own: what is tried there leaves this one alone."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    for error in failed:
        raise error
