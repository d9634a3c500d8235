"""How results are reached over ssh, whoever speaks it: the key, the known hosts, and what a place may look like."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from magma_remote.errors import TransferError

if TYPE_CHECKING:
    from pathlib import Path

    from magma_remote.model.messages import Place

_HOST = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_.:%-]{0,254}", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\$?", re.ASCII)
_MOST_PORTS = 65535
_HOST_KEY = ("key verification failed", "not found in known_hosts", "does not match: got")  # OpenSSH, paramiko twice


@dataclass(frozen=True, kw_only=True)
class Ssh:
    """`key` and `known_hosts` are OpenSSH's own files where they are None.

    A link that is silent for `silence` seconds is dead; a host that is alive may work on something for `stall`.
    """

    key: Path | None = None
    known_hosts: Path | None = None
    silence: float = 30.0
    stall: float = 600.0

    def command(self, place: Place) -> list[str]:
        """`ssh` without its host: it never asks, and ends where the other side is gone."""
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "ConnectTimeout": f"{max(1, round(self.silence))}",
            "ServerAliveInterval": f"{max(1, round(self.silence / 3))}",
            "ServerAliveCountMax": "3",
            **({"IdentityFile": _quoted(self.key), "IdentitiesOnly": "yes"} if self.key else {}),
            **({"UserKnownHostsFile": _quoted(self.known_hosts)} if self.known_hosts else {}),
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return ["ssh", *words, "-p", str(place.port)]

    def failed(self, place: Place, said: str) -> TransferError:
        """The error about a place, with a command that shows the same to whoever types it."""
        line = shlex.join([*self.command(place), f"{place.user}@{place.host}", shlex.join(["ls", place.folder])])
        return TransferError(
            f"{place.folder} was not fetched from {place.user}@{place.host} port {place.port}: "
            f"{said.strip()}{self._advice(place, said)}; to see it for yourself: {line}"
        )

    def _advice(self, place: Place, said: str) -> str:
        if any(words in said for words in _HOST_KEY):
            known = shlex.quote(str(self.known_hosts)) if self.known_hosts else "~/.ssh/known_hosts"
            return (
                "; its host key is not one that is known here: compare "
                f"`ssh-keyscan -p {place.port} {place.host}` with /etc/ssh/ssh_host_*_key.pub on that host, "
                f"and add the line to {known}"
            )
        if "Permission denied (" in said or "Authentication failed" in said:
            return f"; no key of ours may log in there: add its .pub file to authorized_keys of {place.user}"
        return ""


def check_place(place: Place) -> None:
    """TransferError for what a worker cannot mean: it came over a queue, and becomes arguments of programs."""
    folder = PurePosixPath(place.folder)
    if not folder.is_absolute() or str(folder.parent) != str(PurePosixPath(place.workdirs)) or ".." in folder.parts:
        raise TransferError(f"a worker tells of {place.folder!r}, which is no folder in its {place.workdirs!r}")
    if not _HOST.fullmatch(place.host) or not _USER.fullmatch(place.user) or not 0 < place.port <= _MOST_PORTS:
        raise TransferError(
            f"a worker cannot be at {place.user!r}@{place.host!r} port {place.port}: "
            "check WORKER_IP, SSH_USER and SSH_PORT in its worker.hjson"
        )


def polite(place: Place) -> list[str]:
    """What a program on the worker is started with, so that no trial feels it."""
    if place.cpus:
        return ["taskset", "-c", ",".join(str(cpu) for cpu in place.cpus)]
    return ["chrt", "--idle", "0"]


def _quoted(path: Path) -> str:
    """A path in ssh's own form, where blanks part words and a percent sign is special."""
    text = str(path.absolute()).replace("%", "%%")
    return f'"{text}"'
