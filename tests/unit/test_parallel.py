"""Processes that read beside this one: they go where it goes, even where it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from tests.support.pids import alive
from tests.support.waiting import until

_READER = r"""
import os, time
from magma_remote.runtime.workdir.parallel import each

def act(number):
    os.write(1, f"{os.getpid()}\n".encode())  # in one piece, whatever its buffers
    time.sleep(60)

each(act, range(8), processes=2)
"""


def test_they_are_gone_once_the_first_is_killed() -> None:
    command = [sys.executable, "-c", _READER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout
        others = [int(first.stdout.readline()) for _ in range(2)]
        assert all(map(alive, others))
        os.kill(first.pid, signal.SIGKILL)
        until(lambda: not any(map(alive, others)), 20)
