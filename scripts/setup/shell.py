"""The one door to other programs: argument lists, a time limit on each, and never a question to answer."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

NOT_FOUND, TIMED_OUT = 127, 124


class SetupError(Exception):
    """Something is missing that setup cannot get by itself; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a program ended. `output` is stdout and stderr together; `code` is 127 missing, 124 out of time."""

    code: int
    output: str

    @property
    def ok(self) -> bool:
        """Whether it exited with 0."""
        return self.code == 0

    def tail(self, lines: int = 15) -> str:
        """The last lines of the output, indented to stand below a message."""
        return "\n".join(f"    {line}" for line in self.output.strip().splitlines()[-lines:])


def environment() -> dict[str, str]:
    """Ours, with the administrator's folders on PATH (Debian leaves them out for users) and no questions."""
    folders = [os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"]
    return {
        **os.environ,
        "PATH": os.pathsep.join(folders),
        "LC_ALL": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
    }


class Shell:
    """Runs programs and talks to the user. `part` names the step that speaks."""

    def __init__(self) -> None:
        self.env = environment()
        self.part = "setup"

    def say(self, text: str) -> None:
        """One line of progress on stdout."""
        print(f"setup: {self.part:<7} {text}", flush=True)  # noqa: T201 - its output is what setup is for

    def complain(self, text: str) -> None:
        """What went wrong, on stderr."""
        print(f"setup: {self.part:<7} {text}", file=sys.stderr, flush=True)  # noqa: T201 - as above

    def which(self, program: str) -> str | None:
        """Path of a program, the administrator's ones too."""
        return shutil.which(program, path=self.env["PATH"])

    def is_root(self) -> bool:
        """Whether we need no sudo."""
        return os.geteuid() == 0

    def run(self, argv: Sequence[str], *, timeout: float) -> Result:
        """Run to the end or for `timeout` seconds, with everything it started killed then."""
        with tempfile.TemporaryFile() as output:
            try:
                process = self._popen(argv, output.fileno())
            except OSError as error:
                return Result(code=NOT_FOUND, output=f"{argv[0]}: {error.strerror}")
            code = _wait(process, timeout)
            output.seek(0)
            return Result(code=code, output=output.read().decode(errors="replace"))

    def watch(self, argv: Sequence[str], *, idle: float, timeout: float) -> Result:
        """Like `run`, but also ended after `idle` seconds without a sign of life on its terminal."""
        master, slave = pty.openpty()
        with os.fdopen(master, "rb", buffering=0) as screen:
            try:
                process = self._popen(argv, slave)
            except OSError as error:
                return Result(code=NOT_FOUND, output=f"{argv[0]}: {error.strerror}")
            finally:
                os.close(slave)
            seen, silent = _read_screen(screen.fileno(), idle=idle, deadline=time.monotonic() + timeout)
            code = _wait(process, 0 if silent else 10)
            return Result(code=code, output=seen.decode(errors="replace"))

    def as_root(self, argv: Sequence[str], *, timeout: float) -> Result:
        """Run as root, by `sudo -n` where we are not; SetupError says what to type where that is refused."""
        return self.run(self.root_argv(argv), timeout=timeout)

    def root_argv(self, argv: Sequence[str]) -> list[str]:
        """`argv` so that it runs as root, or SetupError."""
        if self.is_root():
            return list(argv)
        if not self.run(["sudo", "-n", "true"], timeout=20).ok:
            raise SetupError(f"root is needed for this. Type:\n    sudo {shlex.join(argv)}\nand call setup again")
        return ["sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive", *argv]

    def start_as_root(self, argv: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
        """Start a service in a session of its own, so that it outlives us and our terminal."""
        with log.open("wb") as output:
            return subprocess.Popen(
                self.root_argv(["setsid", *argv] if not self.is_root() else argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.env,
                start_new_session=True,
            )

    def wait_for(self, condition: Callable[[], bool], *, timeout: float) -> bool:
        """Whether `condition` came true within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)
        return True

    def _popen(self, argv: Sequence[str], output: int) -> subprocess.Popen[bytes]:
        # a process group, not a session: sudo knows by the terminal whether a password was given lately
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=self.env,
            process_group=0,
        )


def _wait(process: subprocess.Popen[bytes], timeout: float) -> int:
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        _kill(process)
        return TIMED_OUT
    except BaseException:  # Ctrl-C reaches only us: the group is the child's own
        _kill(process)
        raise


def _kill(process: subprocess.Popen[bytes]) -> None:
    # what sudo started is not ours to kill; it ends by itself or stays, but we do not hang
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)


def _read_screen(screen: int, *, idle: float, deadline: float) -> tuple[bytes, bool]:
    """What came until the end, and whether it fell silent (or ran past the deadline) before it."""
    seen = b""
    while time.monotonic() < deadline:
        if not select.select([screen], [], [], idle)[0]:
            return seen, True
        try:
            piece = os.read(screen, 65536)
        except OSError:  # how a terminal says that its last writer is gone
            return seen, False
        if not piece:
            return seen, False
        seen = (seen + piece)[-65536:]
    return seen, True
