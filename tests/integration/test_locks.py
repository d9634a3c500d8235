"""Locks of builds and of WORKDIRs between real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.claims import at_work, build_lock, cpu_claims, is_held, workdir_lock
from magma_remote.adapters.lockfile import Holder
from magma_remote.errors import StoppedError, StorageError
from tests.support.processes.lock_holder import kill, other
from tests.support.waiting import DEADLINE, until

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = 65534


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "locks"


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


@pytest.mark.skipif(os.getuid() != 0, reason="only root can act as two users")
def test_a_workdir_that_a_user_may_not_enter_counts_as_held(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    script = (
        "import os, sys; from pathlib import Path; from magma_remote.adapters.claims import is_held;"
        f"os.setuid({NOBODY}); sys.exit(is_held(Path({str(tmp_path)!r})))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=DEADLINE).returncode == 1
