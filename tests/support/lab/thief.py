"""What somebody who has one of the link's keys would try with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.lab.lab import Lab
    from tests.support.processes.command import Ended

# Says what came back through a forwarded socket. argv: ssh's words as one argument each, then what to send.
_THROUGH_SOCKET = r"""
import os, socket, subprocess, sys, tempfile, time
remote, sent, *ssh = sys.argv[1:]
local = tempfile.mkdtemp() + "/end"
process = subprocess.Popen([*ssh[:-1], "-N", "-L", local + ":" + remote, ssh[-1]], stdin=subprocess.DEVNULL)
try:
    deadline = time.monotonic() + 10
    while not os.path.exists(local) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(local)
    connection.sendall(sent.encode().decode("unicode_escape").encode())
    print("answer:", connection.recv(100))
except OSError as error:
    print("error:", error)
finally:
    process.kill()  # ssh may miss a SIGTERM that comes just before it waits
    process.wait()
"""


@dataclass(frozen=True, kw_only=True)
class Thief:
    """Somebody with root on `host` who uses the key there to log in elsewhere."""

    lab: Lab
    host: str
    key: str
    user: str
    target: str

    def ssh(self, *words: str, options: tuple[str, ...] = ()) -> Ended:
        """Ssh with options before and words after the target."""
        return self.lab.run(self.host, *self._argv(*options), *words, timeout=40)

    def typed(self, text: str, *options: str) -> Ended:
        """Ssh with this on its stdin, `printf`'s escapes in it."""
        script = 'text=$1; shift; printf "$text" | timeout 20 "$@"'
        return self.lab.run(self.host, "sh", "-c", script, "sh", text, *self._argv(*options), timeout=40)

    def through_socket(self, path: str, sent: str) -> Ended:
        """Forward a local socket to `path` over there, send something and wait for an answer."""
        return self.lab.run(self.host, "python3", "-c", _THROUGH_SOCKET, path, sent, *self._argv(), timeout=60)

    def rsync(self, *words: str) -> Ended:
        """Rsync with this key; `HOST:` at the start of a word is the target."""
        places = [word.replace("HOST:", f"{self.user}@{self.lab.address(self.target)}:", 1) for word in words]
        return self.lab.run(self.host, "rsync", "--rsh", " ".join(self._argv()[:-1]), *places, timeout=40)

    def _argv(self, *options: str) -> list[str]:
        trust = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=INFO")
        quiet = ("-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=10")
        place = f"{self.user}@{self.lab.address(self.target)}"
        return ["ssh", "-F", "none", "-i", self.key, *trust, *quiet, *options, place]
