"""A command that reads a WORKDIR and is killed: it leaves no copy of the ledger, and no process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from magma_remote.adapters.sqlite import SqliteLedger

_READER = """
import os, sys, time
from pathlib import Path
from magma_remote.cli.aside import aside
from magma_remote.cli.reading import ledger_of
from magma_remote.runtime.workdir.parallel import each

def act(number):
    if not number:
        os.kill(os.getppid(), int(sys.argv[2])) if sys.argv[3] == "first" else os.killpg(0, int(sys.argv[2]))
    time.sleep(0.2)

@aside
def read():
    with ledger_of(Path(sys.argv[1])):
        assert os.listdir(os.environ["TMPDIR"])
        each(act, range(8), processes=2)

read()
"""


@pytest.mark.parametrize("whom", ["first", "group"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_what_is_killed_tidies_up(tmp_path: Path, number: signal.Signals, whom: str) -> None:
    with closing(SqliteLedger(tmp_path / "ledger.sqlite")):
        pass
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    command = [sys.executable, "-c", _READER, str(tmp_path), str(int(number)), whom]
    ended = subprocess.run(
        command,
        env={**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
        start_new_session=True,
    )
    assert (ended.returncode, ended.stderr) == (1, f"magma-remote: stopped by {number.name}\n")
    assert list(temporary.iterdir()) == []
