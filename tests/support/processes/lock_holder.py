"""Another process that holds a lock of ours, perhaps as another user."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.waiting import DEADLINE

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator
    from pathlib import Path


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
