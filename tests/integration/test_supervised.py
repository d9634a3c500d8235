"""The keeper of a supervisor program: whom it runs as, what it does at each end, and that nothing outlives it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import pytest

from tests.support.pids import alive
from tests.support.places import ROOT
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

KEEPER = ROOT / "roles/service/files/supervised"
AGAIN, STAY = 1, 0
LIMIT = 20  # seconds

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="the keeper is root's, and calls util-linux's setpriv"
)


def argv(*command: str, policy: str = "always", restart: str = "", final: str = "") -> list[str]:
    return [str(KEEPER), "nobody", "nogroup", "", "", "0027", policy, restart, final, *command]


def run(*command: str, pause: str = "0", **options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv(*command, **options),
        env={**os.environ, "SUPERVISED_PAUSE": pause},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


@pytest.mark.parametrize(
    ("policy", "restart", "final", "ending", "verdict"),
    [
        pytest.param("always", "", "", "exit 0", AGAIN, id="always-0"),
        pytest.param("always", "", "0 2", "exit 0", STAY, id="always-final-0"),
        pytest.param("always", "", "0 2", "exit 2", STAY, id="always-final-2"),
        pytest.param("always", "", "0 2", "exit 1", AGAIN, id="always-1"),
        pytest.param("on-failure", "", "", "exit 0", STAY, id="failure-0"),
        pytest.param("on-failure", "", "", "exit 7", AGAIN, id="failure-7"),
        pytest.param("on-abnormal", "75", "", "exit 0", STAY, id="abnormal-0"),
        pytest.param("on-abnormal", "75", "", "exit 1", STAY, id="abnormal-1"),
        pytest.param("on-abnormal", "75", "", "exit 75", AGAIN, id="abnormal-restart"),
        pytest.param("on-abnormal", "75", "", "kill -KILL $$", AGAIN, id="abnormal-killed"),
        pytest.param("on-abnormal", "75", "75", "exit 75", STAY, id="final-wins"),
    ],
)
def test_which_ends_call_for_a_new_start(policy: str, restart: str, final: str, ending: str, verdict: int) -> None:
    result = run("/bin/sh", "-c", ending, policy=policy, restart=restart, final=final)
    assert result.returncode == verdict
    assert ("started again" if verdict == AGAIN else "stays down") in result.stdout


def test_it_pauses_before_a_new_start_alone() -> None:
    started = time.monotonic()
    assert run("/bin/false", pause="1").returncode == AGAIN
    assert time.monotonic() - started >= 1


def test_the_program_has_no_privileges() -> None:
    told = run("/bin/sh", "-c", "id -un; id -Gn; umask; echo $HOME; cat /proc/self/status", final="0").stdout
    assert told.splitlines()[:2] == ["nobody", "nogroup"]
    assert told.splitlines()[2] == "0027"
    facts = dict(line.split(":\t") for line in told.splitlines() if ":\t" in line)
    assert facts["NoNewPrivs"] == "1"
    assert {facts[name].strip("0") for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {""}


@contextmanager
def kept(script: str) -> Iterator[tuple[subprocess.Popen[str], IO[str], int]]:
    """A keeper of a shell script that tells its pid first: the keeper, what the script says after that, the pid."""
    with subprocess.Popen(argv("/bin/sh", "-c", script), stdout=subprocess.PIPE, text=True) as keeper:
        assert keeper.stdout is not None
        try:
            yield keeper, keeper.stdout, int(keeper.stdout.readline())
        finally:
            keeper.kill()


def test_a_signal_is_handed_on_and_the_program_is_waited_for() -> None:
    with kept("trap 'sleep 0.3; echo ended; exit 9' TERM; echo $$; while :; do sleep 0.1; done") as (keeper, said, pid):
        keeper.send_signal(signal.SIGTERM)
        assert keeper.wait(LIMIT) == STAY
        assert said.read() == "ended\n"
        assert not alive(pid)


def test_the_program_does_not_outlive_its_keeper() -> None:
    with kept("echo $$; exec sleep 600") as (keeper, _, pid):
        assert alive(pid)
        keeper.kill()
        keeper.wait(LIMIT)
        until(lambda: not alive(pid))
