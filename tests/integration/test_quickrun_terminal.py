"""What a person sees on a terminal of 80 columns."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import termios
from threading import Thread
from typing import TYPE_CHECKING, Any, Self

from rich.cells import cell_len

from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.processes.command import Started
    from tests.support.processes.quickrun import Lab

COLUMNS = 80
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SHOW, HIDE = "\x1b[?25h", "\x1b[?25l"  # the cursor
UP_AND_ERASE = "\x1b[1A\x1b[2K"


class Terminal:
    """A terminal that keeps all that is written to it."""

    def __init__(self) -> None:
        self.control, self.program = pty.openpty()
        fcntl.ioctl(self.program, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
        self.text = ""
        self._reader = Thread(target=self._read)

    def start(self, lab: Lab, **settings: Any) -> Started:
        environment = {key: value for key, value in os.environ.items() if key not in {"COLUMNS", "LINES", "NO_COLOR"}}
        quickrun = lab.start(lab.campaign(**settings), stdout=self.program, env=environment | {"TERM": "xterm"})
        os.close(self.program)
        self._reader.start()
        return quickrun

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.join()
        os.close(self.control)

    def _read(self) -> None:
        data = b""
        while True:
            try:
                data += os.read(self.control, 65536)
            except OSError:  # its last writer has gone
                return
            self.text = data.decode(errors="replace")


def shown(text: str) -> list[str]:
    """Lines without terminal codes, as they were drawn one after another."""
    return [_ESCAPE.sub("", line) for part in text.split("\r\n") for line in part.split("\r")]


def test_live_view(lab: Lab) -> None:
    with Terminal() as terminal:
        quickrun = terminal.start(lab, REPEAT=3)
        ended = quickrun.end()
    assert (ended.code, ended.output) == (0, "")
    lines = shown(terminal.text)
    rows = [line for line in lines if " CPU " in line and "━" in line]
    assert {"fuzzing"} <= {word for line in rows for word in line.split()}
    assert all(cell_len(line.rstrip()) <= COLUMNS for line in rows)
    assert any("of 3 trials done" in line for line in lines)
    assert "bugs so far: 2 reached, 1 triggered" in " ".join(" ".join(lines).split())
    assert_left_as_it_was(terminal.text)


def test_live_view_ends_with_ctrl_c(lab: Lab) -> None:
    with Terminal() as terminal:
        quickrun = terminal.start(lab, TIMEOUT="1h")
        until(lambda: "fuzzing" in terminal.text)
        quickrun.signal(signal.SIGINT)
        assert quickrun.end(10).code == 1
    assert "Missing trials" in terminal.text
    assert_left_as_it_was(terminal.text)


def assert_left_as_it_was(text: str) -> None:
    """The bars are erased before the summary, the cursor is back, and every line of the summary fits."""
    assert text.rfind(SHOW) > text.rfind(HIDE) >= 0
    assert UP_AND_ERASE in text
    summary = text[text.rfind(SHOW) :]
    assert "trials complete" in summary
    assert "━" not in summary
    assert UP_AND_ERASE not in summary[len(SHOW) + 100 :]
