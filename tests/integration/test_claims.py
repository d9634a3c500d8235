"""Claims of CPUs between real processes, their deaths and their users."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.claims import cpu_claims
from magma_remote.errors import BusyError, StorageError
from tests.support.processes.lock_holder import kill, other
from tests.support.waiting import DEADLINE, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = 65534


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "locks"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may write to, as /run/lock is; pytest's own are one user's."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o1777)
        yield Path(name)


as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can act as two users")


def test_claimed_cpus_are_refused_with_their_holder(base: Path) -> None:
    with (
        other("cpus", base, 0, 1, 5) as child,
        pytest.raises(BusyError) as caught,
        cpu_claims((1, 2, 5), owner="/runs/mine", base=base),
    ):
        pytest.fail("claimed twice")
    message = str(caught.value)
    assert f"1,5 by process {child.pid} (/runs/other)" in message
    assert "WORKER_POOL" in message
    assert caught.value.exit_code == 1


def test_a_refused_claim_keeps_nothing(base: Path) -> None:
    with other("cpus", base, 3):
        with pytest.raises(BusyError), cpu_claims((1, 2, 3), owner="mine", base=base):
            pass
        with cpu_claims((1, 2), owner="mine", base=base), cpu_claims((4,), owner="mine", base=base):
            pass


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda how: how.name)
def test_claims_die_with_their_holder(base: Path, how: signal.Signals) -> None:
    with other("cpus", base, 0, 1) as child:
        kill(child, how)
        with cpu_claims((0, 1), owner="mine", base=base):
            pass


def test_a_program_that_the_holder_started_keeps_no_claim(base: Path) -> None:
    with ExitStack() as grandchild:
        with cpu_claims((0,), owner="mine", base=base):
            started = subprocess.Popen(["sleep", "60"], close_fds=False)
            grandchild.callback(started.wait)
            grandchild.callback(started.kill)
        with other("cpus", base, 0):
            assert started.poll() is None


def test_an_error_in_the_block_gives_the_claims_back(base: Path) -> None:
    before = open_descriptors()
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), cpu_claims((0, 1), owner="mine", base=base):
            raise ZeroDivisionError
    assert open_descriptors() == before
    assert (base / "cpu-0.lock").read_text() == ""


def test_two_in_one_process_exclude_each_other(base: Path) -> None:
    with (
        cpu_claims((0,), owner="mine", base=base),
        pytest.raises(BusyError, match=f"0 by process {os.getpid()} \\(mine\\)"),
        cpu_claims((0,), owner="mine", base=base),
    ):
        pass


def test_of_many_that_start_at_once_one_gets_all(base: Path) -> None:
    """And the others fail: no two halves."""
    start, outcomes = threading.Barrier(8), list[str]()

    def claim() -> None:
        start.wait(DEADLINE)
        try:
            with cpu_claims(range(16), owner="mine", base=base):
                outcomes.append("held")
                until(lambda: len(outcomes) == 8)
        except BusyError:
            outcomes.append("refused")

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert sorted(outcomes) == ["held"] + ["refused"] * 7


@as_root
@pytest.mark.parametrize("umask", [0o022, 0o077], ids=["umask-022", "umask-077"])
def test_users_see_each_others_claims(open_folder: Path, umask: int) -> None:
    base = open_folder / "locks"
    with other("cpus", base, 0, 1, umask=umask) as root:
        with other("cpus", base, 1, uid=NOBODY, says=f"1 by process {root.pid} (/runs/other)"):
            pass
        with (
            other("cpus", base, 2, uid=NOBODY, umask=umask) as nobody,
            pytest.raises(BusyError, match=f"2 by process {nobody.pid}"),
            cpu_claims((2,), owner="mine", base=base),
        ):
            pass
    with other("cpus", base, 0, 2, uid=NOBODY):
        pass
    assert stat.S_IMODE(base.stat().st_mode) == 0o1777
    assert {stat.S_IMODE(path.stat().st_mode) for path in base.iterdir()} == {0o666}


@as_root
def test_another_users_closed_folder_is_told(tmp_path: Path) -> None:
    base = tmp_path / "locks"
    base.mkdir(mode=0o755)
    os.chown(base, NOBODY, NOBODY)
    with pytest.raises(StorageError, match="chmod 1777"), cpu_claims((0,), owner="mine", base=base):
        pass


def _link(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def _hard_link(path: Path, victim: Path) -> None:
    path.hardlink_to(victim)


def _fifo(path: Path, _victim: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path, _victim: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("trap", [_link, _hard_link, _fifo, _folder], ids=lambda trap: trap.__name__[1:])
def test_a_trap_is_refused_and_what_it_points_to_unharmed(
    base: Path, tmp_path: Path, trap: Callable[[Path, Path], None]
) -> None:
    base.mkdir()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    trap(base / "cpu-0.lock", victim)
    with pytest.raises(StorageError, match=r"cpu-0\.lock"), cpu_claims((0,), owner="mine", base=base):
        pass
    assert victim.read_text() == "precious"


def test_a_linked_folder_is_refused(base: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    base.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="symbolic link"), cpu_claims((0,), owner="mine", base=base):
        pass
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_another_wrote_is_shown_without_control_characters(base: Path) -> None:
    with cpu_claims((0,), owner="mine", base=base):
        (base / "cpu-0.lock").write_bytes(b"\x1b[2J\xff" + b"x" * 5000)
        with pytest.raises(BusyError) as caught, cpu_claims((0,), owner="mine", base=base):
            pass
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1500


def test_a_file_that_was_removed_is_made_anew(base: Path) -> None:
    with cpu_claims((0,), owner="mine", base=base):
        (base / "cpu-0.lock").unlink()
    with cpu_claims((0,), owner="mine", base=base):
        assert (base / "cpu-0.lock").read_text() == f"{os.getpid()} mine\n"
