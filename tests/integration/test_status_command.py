"""`magma-remote status`, piped and on a terminal of 80 columns."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
from rich.cells import cell_len

from magma_remote.adapters import claims
from magma_remote.model.entries import CampaignState
from magma_remote.runtime.dispatcher import operations
from tests.support.commands import call, refused
from tests.support.places import ROOT
from tests.support.workdirs.dispatched import CONFIG, SETTINGS, dispatched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from magma_remote.adapters.sqlite import SqliteLedger

COLUMNS, ROWS = 80, 24
DEADLINE = 60.0
SHOW, HIDE = "\x1b[?25h", "\x1b[?25l"  # the cursor
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteLedger]:
    monkeypatch.chdir(tmp_path)
    with closing(dispatched(tmp_path)) as opened:
        yield opened


@pytest.mark.usefixtures("ledger")
def test_status_says_it_all() -> None:
    lines = call("status").stdout.splitlines()
    assert lines[0].startswith(f"week.hjson  campaign {CONFIG}, open, since ")
    assert lines[1].startswith("! no dispatcher runs: type `magma-remote dispatch`")
    assert lines[2].startswith("! worker worker-3: its disk is nearly full")
    assert "200 jobs: 120 done, 10 running, 60 queued, 3 waiting, 7 dead" in lines
    assert any(line.startswith("63 %, about 7 h ") for line in lines)
    assert any(line.startswith("worker-1  ready  CPU sets 0-1 2-3 4-5  heard ") for line in lines)
    assert any(line.startswith("worker-5  lost  ") for line in lines)
    assert "  building image 3 of 8: libfuzzer/poppler" in lines
    assert any(
        line.startswith("  120  libfuzzer/libpng/libpng_read_fuzzer #5  CPU 0-1  fuzzing 12 min") for line in lines
    )
    assert "Bugs so far: 7 reached, 1 triggered (1 more in trials under way)" in lines
    assert "  libfuzzer libpng     5 of 25   6 reached, 1 triggered  AAH001 (AAH042)" in lines
    assert "7 dead jobs:" in lines
    assert "  and 2 more: magma-remote graveyard list" in lines
    assert not [line for line in lines if line != line.rstrip()]


def test_status_beside_a_dispatcher(ledger: SqliteLedger) -> None:
    with claims.workdir_lock(Path("workdir")):
        assert "no dispatcher" not in call("status").stdout
    ledger.save_campaign(replace(operations.campaign_of(ledger), state=CampaignState.ENDED, ended_at=time.time()))
    ended = call("status").stdout
    assert "no dispatcher" not in ended
    assert f"Results: {Path.cwd() / 'workdir' / 'ar'}\n" in ended
    assert "requeue --all`, then `magma-remote dispatch`, runs" in ended


@pytest.mark.parametrize(("ended_at", "word"), [(None, "being cancelled"), (5.0, "cancelled")])
def test_status_of_a_cancelled_campaign(ledger: SqliteLedger, ended_at: float | None, word: str) -> None:
    campaign = replace(operations.campaign_of(ledger), state=CampaignState.CANCELLED, ended_at=ended_at)
    ledger.save_campaign(campaign)
    assert call("status").stdout.startswith(f"week.hjson  campaign {CONFIG}, {word}, since ")


def test_what_workers_say_cannot_touch_the_terminal(ledger: SqliteLedger) -> None:
    entry = operations.find_worker(ledger, "worker-1")
    ledger.save_worker(replace(entry, heartbeat=replace(entry.heartbeat, name="w\x1b[2J[red]1", detail="a\nb\x07")))
    said = call("status").stdout
    assert "w[red]1  ready" in said
    assert "  ab\n" in said
    assert "\x1b" not in said


@pytest.mark.usefixtures("ledger")
def test_status_for_programs() -> None:
    found = json.loads(call("status", "--json").stdout)
    assert (found["version"], found["total"], found["dispatcher_runs"]) == (1, 200, False)
    assert found["counts"] == {"waiting": 3, "queued": 60, "running": 10, "fetched": 0, "done": 120, "dead": 7}
    assert found["campaign"]["config_id"] == CONFIG
    assert [worker["name"] for worker in found["workers"]] == [f"worker-{number}" for number in range(1, 6)]
    assert found["workers"][4]["lost"]
    assert found["running"][0]["job"] == f"{CONFIG},5,libfuzzer,libpng,libpng_read_fuzzer,"
    assert found["warnings"][0]["key"] == "obstacle id2"
    assert found["dead"][0]["reason"] == "ended_early"


@pytest.mark.usefixtures("ledger")
def test_watching_needs_a_terminal() -> None:
    assert refused("status", "--watch").startswith("--watch draws on a terminal")


def test_no_campaign_is_a_message_and_null_for_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dispatcher.hjson").write_text(SETTINGS, encoding="utf-8")
    ended = call("status", "--json", code=2)
    assert json.loads(ended.stdout) == {"version": 1, "campaign": None}
    assert str(ended.exception).startswith("no campaign yet: ")


class Screen:
    """The command on a terminal; `text` is all that it has written so far."""

    def __init__(self, *arguments: str) -> None:
        self.control, program = pty.openpty()
        fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.set_blocking(self.control, False)
        environment = {key: value for key, value in os.environ.items() if key not in {"COLUMNS", "LINES", "NO_COLOR"}}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "magma_remote", "status", *arguments],
            stdin=program,
            stdout=program,
            stderr=program,
            env=environment | {"TERM": "xterm", "PYTHONPATH": str(ROOT)},
        )
        os.close(program)
        self.text = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.control)

    @property
    def lines(self) -> list[str]:
        """All lines without terminal codes."""
        return [_ESCAPE.sub("", line).rstrip() for line in self.text.replace("\r", "").split("\n")]

    def until(self, said: str) -> None:
        """Read until it has written this."""
        self._read(lambda: said in self.text)

    def end(self) -> int:
        """Read to its end; its exit code."""
        self._read(lambda: self.process.poll() is not None)
        self._take()
        return self.process.wait()

    def _read(self, is_enough: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not is_enough():
            assert time.monotonic() < deadline, self.text
            self._take()
            time.sleep(0.02)

    def _take(self) -> None:
        with suppress(OSError):  # nothing now, or its last writer has gone
            while data := os.read(self.control, 65536):
                self.text += data.decode(errors="replace")


@pytest.mark.usefixtures("ledger")
def test_status_fits_80_columns() -> None:
    with Screen() as screen:
        assert screen.end() == 0
    assert max(cell_len(line) for line in screen.lines) <= COLUMNS
    runs = [line for line in screen.lines if re.match(r"  1\d\d  ", line)]
    assert len(runs) == 10
    assert all(re.search(r"  CPU \d-\d  fuzzing \d+ min", line) for line in runs), "the name gives way, nothing else"
    assert "! worker worker-3: its disk is nearly full (3 GiB left of 400 GiB): it takes no" in screen.lines
    assert any(line.startswith("  job (for 5 min") for line in screen.lines)


def test_watching_ends_with_the_campaign(ledger: SqliteLedger) -> None:
    with Screen("--watch") as screen:
        screen.until("7 dead")
        operations.drop(ledger, [199])
        screen.until("8 dead")
        ledger.save_campaign(replace(operations.campaign_of(ledger), state=CampaignState.ENDED, ended_at=time.time()))
        assert screen.end() == 0
    assert screen.text.rindex(SHOW) > screen.text.rindex(HIDE)
    assert any(line.startswith("Results:") for line in screen.lines[-8:]), screen.lines[-8:]


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watching_ends_with_a_signal(number: signal.Signals) -> None:
    with Screen("--watch") as screen:
        screen.until("7 dead")
        screen.process.send_signal(number)
        assert screen.end() == 0
    assert "Traceback" not in screen.text
    assert screen.text.rindex(SHOW) > screen.text.rindex(HIDE)
    assert any("once more" in line for line in screen.lines[-3:]), "all of it stays on the screen"
