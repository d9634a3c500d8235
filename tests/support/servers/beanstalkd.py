"""Real beanstalkds for tests, and what is done to them."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from typing import TYPE_CHECKING, Self

from magma_remote.adapters.beanstalk import BeanstalkQueue
from tests.support.pids import state
from tests.support.waiting import DEADLINE, until

if TYPE_CHECKING:
    from pathlib import Path


class Beanstalkd:
    """One server: started on entering, ended on leaving however it stands then.

    `address` is as BeanstalkQueue takes it: a socket in `folder`, or host and port where `port` is given. All that
    it keeps lies in `folder`, its binlog too where `binlog` is set. `options` are further ones of its command line.
    """

    def __init__(self, folder: Path, *, port: int = 0, binlog: bool = True, options: tuple[str, ...] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.address: str | tuple[str, int] = ("127.0.0.1", port) if port else str(folder / "beanstalkd.sock")
        self.log = folder / "beanstalkd.log"
        self._folder = folder
        self._binlog = folder / "binlog" if binlog else None
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def queue(self, *, timeout: float = 10.0) -> BeanstalkQueue:
        """A process's queue there; who asks closes it."""
        return BeanstalkQueue(self.address, timeout=timeout)

    @property
    def pid(self) -> int:
        """Of the server that runs."""
        assert self._process is not None, "it is not started"
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it listens."""
        assert self._process is None, "it is started already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["beanstalkd", *self._arguments()], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until(lambda: self._listens() or self._ended())
        assert not self._ended(), self.log.read_text(errors="replace")

    def stop(self) -> None:
        """End it as a service manager does; nothing where it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as if its machine had lost power; nothing where it does not run."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it and start it: it reads its binlog, where it has one."""
        self.stop()
        self.start()

    def wipe(self) -> None:
        """Kill it and start it without anything that it knew."""
        self.kill()
        if self._binlog:
            shutil.rmtree(self._binlog)
        self.start()

    def freeze(self) -> None:
        """Let it keep its connections and answer nothing."""
        self.send(signal.SIGSTOP)
        until(lambda: state(self.pid) == "T")

    def thaw(self) -> None:
        """Let it go on."""
        self.send(signal.SIGCONT)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; nothing where it does not run."""
        if self._process:
            self._process.send_signal(number)

    def _arguments(self) -> list[str]:
        if isinstance(self.address, str):
            listen = ["-l", f"unix:{self.address}"]
        else:
            listen = ["-l", self.address[0], "-p", str(self.address[1])]
        if self._binlog:
            self._binlog.mkdir(exist_ok=True)
            listen += ["-b", str(self._binlog)]
        return [*listen, *self._options]

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET) as probe:
            return probe.connect_ex(self.address) == 0

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _end(self, number: signal.Signals) -> None:
        self.send(number)
        self.send(signal.SIGCONT)  # a frozen one hears nothing else
        if self._process:
            self._process.wait(DEADLINE)
            self._process = None
