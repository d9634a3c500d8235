"""The command `magma-remote` as a process in a session of its own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.waiting import DEADLINE, until

if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence

COMMAND = str(Path(sys.executable).with_name("magma-remote"))
BUSY = "CPUs in use on this machine"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a program ended: `output` holds both of its streams."""

    code: int
    output: str

    @property
    def lines(self) -> list[str]:
        """Lines of the output."""
        return self.output.splitlines()

    @property
    def text(self) -> str:
        """The output of a program that must have exited with 0."""
        assert self.code == 0, self.output
        return self.output


@dataclass(frozen=True, kw_only=True)
class Started:
    """One that was started; its output goes to a file, its results to `workdir`."""

    process: subprocess.Popen[bytes]
    log: Path
    workdir: Path

    @property
    def output(self) -> str:
        """What it said so far."""
        return self.log.read_text(errors="replace")

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def await_output(self, *words: str) -> None:
        """Wait until it has said all of these."""
        until(lambda: all(word in self.output for word in words) or not self.runs)
        assert all(word in self.output for word in words), self.output

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command alone, as `kill` does."""
        self.process.send_signal(number)

    def end(self, deadline: float = DEADLINE) -> Ended:
        """Wait for its end; it is killed where that takes too long."""
        try:
            code = self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"no end within {deadline:g} s:\n{self.output}") from None
        return Ended(code=code, output=self.output)

    def kill(self) -> None:
        """End it, if it still runs."""
        if self.runs:
            self.process.kill()
            self.process.wait()


def start(log: Path, *words: str, before: Sequence[str] = (), **popen: Any) -> subprocess.Popen[bytes]:
    """Start it with these words; `before` is a command that starts it."""
    with log.open("wb") as output:
        return subprocess.Popen(
            # a shell's background jobs ignore SIGINT, and so would this one, started by them
            ["env", "--default-signal=INT,HUP,TERM", *before, COMMAND, *words],
            stdin=subprocess.DEVNULL,
            stdout=popen.pop("stdout", output),
            stderr=popen.pop("stderr", output),
            start_new_session=True,
            **popen,
        )
