"""Where SHARED lives: room for it, whose it is, and what is kept of it."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.errors import StorageError
from magma_remote.model.campaign import Campaign
from magma_remote.model.jobs import Job
from magma_remote.model.layout import Workdir
from magma_remote.model.units import Duration, Size
from magma_remote.runtime.trial.cache import LEAST_ROOM, Cache, Shared, check_room, reap_others

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JOB = Job(repeat=0, fuzzer="afl", target="libpng", program="readpng")


def campaign(**settings: Any) -> Campaign:
    return Campaign(repeat=1, fuzzers=("afl",), targets=("libpng",), timeout=Duration.parse("1m"), **settings)


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Say how many bytes a file system has free."""

    def say(count: int) -> None:
        monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_bavail=count // 512, f_frsize=512))

    return say


def cache_for(_shm: Path, workdir: Workdir, **settings: Any) -> tuple[Cache, Campaign]:
    asked = campaign(**settings)
    return Cache.of(asked, workdir), asked


def test_enough_room(shm: Path, workdir: Workdir, free: Callable[[int], None]) -> None:
    free(2 * LEAST_ROOM)
    assert check_room(*cache_for(shm, workdir), 2) == 2 * LEAST_ROOM


@pytest.mark.parametrize(
    ("there", "settings", "said"),
    [
        pytest.param(2 * LEAST_ROOM - 512, {}, "2 trials at once need at least 64.0 MiB", id="too-little"),
        pytest.param(0, {"cache_on_disk": True}, "0 B free", id="too-little-on-disk"),
        pytest.param(1 << 30, {"tmpfs_size": Size.parse("2g")}, "TMPFS_SIZE asks for 2g", id="less-than-asked"),
    ],
)
@pytest.mark.usefixtures("workdir", "shm")
def test_too_little_room(
    tmp_path: Path, free: Callable[[int], None], there: int, settings: dict[str, Any], said: str
) -> None:
    free(there)
    with pytest.raises(StorageError, match="CACHE_ON_DISK") as caught:
        check_room(*cache_for(tmp_path / "shm", Workdir(tmp_path / "workdir"), **settings), 2)
    assert said in str(caught.value)


def test_a_tmpfs_size_that_is_there(shm: Path, workdir: Workdir, free: Callable[[int], None]) -> None:
    free(1 << 30)
    check_room(*cache_for(shm, workdir, tmpfs_size=Size.parse("1g")), 2)


def test_on_disk_a_tmpfs_size_says_nothing(shm: Path, workdir: Workdir, free: Callable[[int], None]) -> None:
    free(1 << 30)
    check_room(*cache_for(shm, workdir, cache_on_disk=True, tmpfs_size=Size.parse("2g")), 2)


@pytest.mark.parametrize(
    ("mounts", "said"),
    [
        pytest.param("/dev/sda1 / ext4 rw 0 0\n", "is on ext4, not on tmpfs", id="disk"),
        pytest.param("tmpfs / tmpfs rw 0 0\n/dev/x {shm} ext4 rw 0 0\n", "is on ext4", id="disk-over-tmpfs"),
        pytest.param("", "is on an unknown file system", id="nothing-known"),
        pytest.param("short\n/dev/x / btrfs rw 0 0\n", "is on btrfs", id="odd-line"),
    ],
)
def test_memory_is_memory(shm: Path, workdir: Workdir, tmp_path: Path, mounts: str, said: str) -> None:
    file = tmp_path / "other-mounts"
    file.write_text(mounts.format(shm=shm))
    with pytest.raises(StorageError, match=said):
        check_room(*cache_for(shm, workdir), 1, mounts=file)


def test_a_place_that_may_not_be_written(shm: Path, workdir: Workdir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    with pytest.raises(StorageError, match="cannot be written: make it writable"):
        check_room(*cache_for(shm, workdir), 1)


def test_two_workdirs_have_two_caches(shm: Path, tmp_path: Path) -> None:
    one, _ = cache_for(shm, Workdir(tmp_path / "one"))
    two, _ = cache_for(shm, Workdir(tmp_path / "two"))
    assert one.root != two.root
    assert one.root.parent == two.root.parent == shm / f"magma-remote-{os.getuid()}"


def test_an_open_cache_says_whose_it_is(shm: Path, workdir: Workdir) -> None:
    mine, _ = cache_for(shm, workdir)
    mine.open()
    mine.open()
    assert (mine.root / "owner").read_text() == str(workdir.root)
    assert mine.root.stat().st_mode & 0o066 == 0
    mine.close()
    assert not mine.root.exists()


def test_shared_is_empty_and_open(shm: Path, workdir: Workdir) -> None:
    mine, _ = cache_for(shm, workdir)
    mine.open()
    (mine.trial(JOB) / "shared/old").mkdir(parents=True)
    trial = Shared(mine.trial(JOB))
    trial.make()
    shared = trial.path
    assert shared.stat().st_mode & 0o777 == 0o777
    assert not list(shared.iterdir())


def kept(mine: Cache) -> Path:
    mine.open()
    shared = Shared(mine.trial(JOB))
    shared.make()
    shared.complete.write_text("{}")
    return shared.path


def test_a_complete_trial_is_kept(shm: Path, workdir: Workdir) -> None:
    mine, _ = cache_for(shm, workdir)
    shared = kept(mine)
    mine.close()
    assert shared.is_dir()
    assert list(mine.complete()) == [mine.trial(JOB)]
    assert list(mine.leftovers()) == [mine.trial(JOB)]


@pytest.mark.parametrize(
    ("live", "complete", "owned", "left"),
    [
        pytest.param(True, False, True, True, id="live"),
        pytest.param(True, True, True, True, id="live-with-a-kept-trial"),
        pytest.param(False, True, True, True, id="dead-with-a-kept-trial"),
        pytest.param(False, False, True, False, id="dead"),
        pytest.param(False, False, False, True, id="of-a-run-that-starts"),
    ],
)
def test_caches_of_others(
    shm: Path, workdir: Workdir, tmp_path: Path, *, live: bool, complete: bool, owned: bool, left: bool
) -> None:
    mine, _ = cache_for(shm, workdir)
    mine.open()
    other, _ = cache_for(shm, Workdir(tmp_path / "other"))
    kept(other) if complete else other.open()
    if not owned:
        (other.root / "owner").unlink()
    said = reap_others(lambda path: live and path == tmp_path / "other", mine)
    assert other.root.exists() == left
    assert any(str(tmp_path / "other") in line for line in said) == ((complete and not live) or not left)
    assert mine.root.exists()


def test_nothing_of_others_is_fine(shm: Path, workdir: Workdir) -> None:
    mine, _ = cache_for(shm, workdir)
    assert reap_others(lambda _path: True, mine) == []


def test_a_folder_that_is_not_ours_is_refused(shm: Path, workdir: Workdir, tmp_path: Path) -> None:
    mine, _ = cache_for(shm, workdir)
    mine.root.parent.symlink_to(tmp_path)
    with pytest.raises(StorageError, match="not a folder of yours"):
        mine.open()


def test_shared_that_was_full_for_a_while(free: Callable[[int], None], tmp_path: Path) -> None:
    trial = Shared(tmp_path / "trial")
    trial.make()
    for count in (1 << 20, 0, 1 << 20):
        free(count)
        trial.look()
    assert trial.was_full
    assert not trial.lost


@pytest.mark.parametrize("again", [False, True], ids=["removed", "made-anew"])
def test_shared_that_somebody_removed(tmp_path: Path, *, again: bool) -> None:
    trial = Shared(tmp_path / "trial")
    trial.make()
    trial.path.rename(tmp_path / "gone")
    if again:
        trial.path.mkdir()
    trial.look()
    assert "was removed while the trial ran" in trial.lost


def test_a_cache_on_disk_is_made_in_anybodys_workdir(
    workdir: Workdir, shm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, _ = cache_for(shm, workdir, cache_on_disk=True)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    mine.open()
    assert (mine.root / "owner").read_text() == str(workdir.root)
