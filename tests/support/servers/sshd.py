"""A real sshd of one test: its own keys, config and port; and a line to it that a test can stop or cut."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from magma_remote.adapters.ssh import Ssh
from magma_remote.model.messages import Place
from tests.conftest import missing
from tests.support.pids import descendants
from tests.support.servers.ports import LOOPBACK, free_port
from tests.support.waiting import DEADLINE, until

if TYPE_CHECKING:
    from collections.abc import Iterator

_SFTP_SERVER = "/usr/lib/openssh/sftp-server"
_SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")


@dataclass(frozen=True, kw_only=True)
class SshServer:
    """A running sshd that takes `key` for the user who runs the tests; `known_hosts` knows it."""

    port: int
    pid: int
    key: Path
    stranger: Path
    known_hosts: Path
    log: Path

    @property
    def ssh(self) -> Ssh:
        return Ssh(key=self.key, known_hosts=self.known_hosts, silence=10.0)

    def place(self, folder: Path, *, port: int | None = None, cpus: tuple[int, ...] = ()) -> Place:
        """A result's place behind this server, or behind a line to it."""
        return Place(
            folder=str(folder),
            workdirs=str(folder.parent),
            token="token",
            host=LOOPBACK,
            port=port or self.port,
            user=getpass.getuser(),
            cpus=cpus,
        )

    def trust(self, port: int) -> None:
        """Let the clients know this server on another port too."""
        known = self.known_hosts.read_text()
        self.known_hosts.write_text(known + known.splitlines()[0].replace(f"]:{self.port} ", f"]:{port} ") + "\n")

    def sessions(self) -> list[int]:
        """Process ids of all that serves a connection."""
        return descendants(self.pid)

    def hang_up(self) -> None:
        """Kill what serves the connections of now."""
        _signal(self.sessions(), signal.SIGKILL)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the server and its sessions for a while."""
        pids = [self.pid, *self.sessions()]
        _signal(pids, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(pids, signal.SIGCONT)


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@contextmanager
def ssh_server(folder: Path, *, extra: str = "") -> Iterator[SshServer]:
    """Start one; `extra` are more lines of its configuration. `folder` is the test's own."""
    if _SSHD is None or shutil.which("ssh-keygen") is None:
        missing("no sshd (openssh-server)")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # it wants one when root starts it
    for name in ("host", "key", "stranger"):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(make, check=True, timeout=DEADLINE, stdin=subprocess.DEVNULL)
    port = free_port()
    (folder / "sshd_config").write_text(_config(folder, port, extra))
    (folder / "known_hosts").write_text(f"[{LOOPBACK}]:{port} {(folder / 'host.pub').read_text()}")
    args = [_SSHD, "-D", "-f", str(folder / "sshd_config"), "-E", str(folder / "sshd.log")]
    with subprocess.Popen(args, stdin=subprocess.DEVNULL) as process:
        try:
            until(lambda: _listens(port, process))
            yield SshServer(
                port=port,
                pid=process.pid,
                key=folder / "key",
                stranger=folder / "stranger",
                known_hosts=folder / "known_hosts",
                log=folder / "sshd.log",
            )
        finally:
            _signal([*descendants(process.pid), process.pid], signal.SIGKILL)


def _config(folder: Path, port: int, extra: str) -> str:
    return f"""\
Port {port}
ListenAddress {LOOPBACK}
HostKey "{folder}/host"
PidFile none
AuthorizedKeysFile "{folder}/key.pub"
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
LogLevel VERBOSE
MaxStartups 100
{extra or f"Subsystem sftp {_SFTP_SERVER}"}
"""


def _listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "sshd did not start; see sshd.log"
    with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False


class Line:
    """A TCP line to a server that stands still for good once so many bytes came from there."""

    def __init__(self, port: int, *, stop_after: int) -> None:
        self._to = port
        self._left = stop_after
        self._listener = socket.create_server((LOOPBACK, 0))
        self._sockets: list[socket.socket] = []
        self.port = int(self._listener.getsockname()[1])
        self.stands = threading.Event()
        self._closed = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        for each in [self._listener, *self._sockets]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(DEADLINE)

    def cut(self) -> None:
        """Close all that runs through it."""
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._closed.is_set():
            with suppress(OSError):
                near = self._listener.accept()[0]
                far = socket.create_connection((LOOPBACK, self._to))
                self._sockets += [near, far]
                for ends in ((near, far, False), (far, near, True)):
                    thread = threading.Thread(target=self._pump, args=ends)
                    self._threads.append(thread)
                    thread.start()

    def _pump(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if counts:
                    self._left -= len(data)
                if self._left <= 0:
                    self.stands.set()
                    self._closed.wait()
                    return
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
