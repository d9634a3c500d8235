"""Locks between real processes, their deaths and their users."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.claims import at_work, build_lock, cpu_claims, is_held, workdir_lock
from magma_remote.adapters.lockfile import Holder
from magma_remote.errors import BusyError, StoppedError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE = 20.0  # seconds; what goes well takes milliseconds
NOBODY = 65534

# Takes a lock as the user that it is told, says so, and keeps it until its standard input ends
CHILD = """
import os, sys
from pathlib import Path
from magma_remote.adapters import claims
from magma_remote.errors import MagmaRemoteError
uid, umask, lock, base = int(sys.argv[1]), int(sys.argv[2], 8), sys.argv[3], Path(sys.argv[4])
os.umask(umask)
if uid != os.getuid():
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
held = {
    "cpus": lambda: claims.cpu_claims([int(n) for n in sys.argv[5:]], owner="/runs/other", base=base),
    "build": lambda: claims.build_lock("/runs/other", base=base),
    "workdir": lambda: claims.workdir_lock(base),
}[lock]
try:
    with held():
        print("held", flush=True)
        sys.stdin.read()
except MagmaRemoteError as error:
    print(error, flush=True)
"""


@contextmanager
def other(
    lock: str, base: Path, *cpus: int, uid: int | None = None, umask: int = 0o022, says: str = "held"
) -> Iterator[subprocess.Popen[str]]:
    uid = os.getuid() if uid is None else uid
    args = [sys.executable, "-c", CHILD, f"{uid}", f"{umask:o}", lock, str(base), *map(str, cpus)]
    with subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout
            assert says in child.stdout.readline()
            yield child
        finally:
            child.kill()


def kill(child: subprocess.Popen[str], how: signal.Signals) -> None:
    child.send_signal(how)
    child.wait(DEADLINE)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.005)


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


def test_builds_wait_for_their_turn_and_say_so_once(base: Path) -> None:
    told: list[Holder] = []
    with other("build", base) as child:
        done = threading.Event()

        def build() -> None:
            with build_lock("mine", on_wait=told.append, base=base):
                done.set()

        thread = threading.Thread(target=build)
        thread.start()
        until(lambda: bool(told))
        assert not done.wait(0.5)  # long enough for a second look at the holder
        kill(child, signal.SIGKILL)
        assert done.wait(DEADLINE)
        thread.join(DEADLINE)
    assert told == [Holder(pid=child.pid, owner="/runs/other")]


def test_a_wait_for_a_build_can_be_stopped(base: Path) -> None:
    stop = threading.Event()
    with (
        other("build", base) as child,
        pytest.raises(StoppedError, match=f"process {child.pid}"),
        build_lock("mine", on_wait=lambda _: stop.set(), stop=stop, base=base),
    ):
        pytest.fail("built at the same time")


def test_a_free_build_lock_is_had_without_waiting(base: Path) -> None:
    told: list[Holder] = []
    with build_lock("mine", on_wait=told.append, base=base), cpu_claims((0,), owner="mine", base=base):
        assert told == []


def test_a_workdir_has_one_run(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    with other("workdir", tmp_path) as child:
        assert is_held(tmp_path)
        with pytest.raises(StorageError, match=f"{tmp_path}: process {child.pid} "), workdir_lock(tmp_path):
            pass
        kill(child, signal.SIGKILL)
        assert not is_held(tmp_path)
        with workdir_lock(tmp_path):
            assert is_held(tmp_path)
    assert not is_held(tmp_path)


def test_who_is_at_work_for_a_while_has_a_name_and_a_run_has_none(tmp_path: Path) -> None:
    assert at_work(tmp_path) is None
    with workdir_lock(tmp_path):
        assert at_work(tmp_path) is None
    begun = time.time()
    with workdir_lock(tmp_path, task="collect"):
        holder = at_work(tmp_path)
        assert is_held(tmp_path)
        with pytest.raises(StorageError, match=r"process \d+ \(magma-remote collect on "), workdir_lock(tmp_path):
            pass
    assert holder
    assert (holder.pid, holder.owner) == (os.getpid(), f"magma-remote collect on {socket.gethostname()}")
    assert holder.since is not None
    assert abs(holder.since - begun) < DEADLINE
    assert at_work(tmp_path) is None
    assert at_work(tmp_path / "gone") is None


def test_no_workdir_is_held_by_nobody(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "gone")
    with pytest.raises(StorageError, match="gone"), workdir_lock(tmp_path / "gone"):
        pass


def test_looking_at_a_workdir_never_costs_its_owner_the_lock(tmp_path: Path) -> None:
    with workdir_lock(tmp_path):
        pass
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            is_held(tmp_path)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for _ in range(50):
            with workdir_lock(tmp_path):
                pass
    finally:
        over.set()
        watcher.join(DEADLINE)


@as_root
def test_a_workdir_that_a_user_may_not_enter_counts_as_held(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    script = (
        "import os, sys; from pathlib import Path; from magma_remote.adapters.claims import is_held;"
        f"os.setuid({NOBODY}); sys.exit(is_held(Path({str(tmp_path)!r})))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=DEADLINE).returncode == 1
