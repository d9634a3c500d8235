"""Results over SFTP with paramiko, for workers without rsync. It does not read ~/.ssh/config."""

from __future__ import annotations

import logging
import os
import shlex
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, BinaryIO

import paramiko
from paramiko.sftp import SFTPError

from magma_remote.adapters.placing import lay_out
from magma_remote.adapters.ssh import check_place, polite
from magma_remote.adapters.transfer_local import LARGEST_MARK, MARK, MARKS
from magma_remote.errors import CorruptError, MagmaRemoteError, TransferError
from magma_remote.model.manifest import NAME, from_wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from magma_remote.adapters.ssh import Ssh
    from magma_remote.model.manifest import Entry
    from magma_remote.model.messages import Place

_SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server")
_WINDOW = 8 << 20  # bytes that are asked for at once: enough for a long line, little enough for our memory
_CHUNK = 1 << 20
_KNOWN_HOSTS = (Path("/etc/ssh/ssh_known_hosts"), Path("~/.ssh/known_hosts"))
_GARBLED = (paramiko.SSHException, SFTPError, EOFError)
logging.getLogger("paramiko").addHandler(logging.NullHandler())  # its errors are told as ours, not twice


@dataclass(frozen=True, kw_only=True)
class SftpTransfer:
    """A `ports.Transfer` and a `ports.Marks`."""

    ssh: Ssh

    def fetch(self, place: Place, destination: Path) -> None:
        """As the port says. What is fetched is what the folder's manifest.json lists."""
        check_place(place)
        with self._session(place) as sftp:
            _fetch(sftp, place.folder, destination)

    def marks(self, place: Place) -> dict[str, bytes]:
        """As the port says."""
        place = replace(place, folder=f"{place.workdirs}/{MARKS}")
        check_place(place)
        with self._session(place) as sftp:
            return dict(_marks(sftp, place))

    @contextmanager
    def _session(self, place: Place) -> Iterator[paramiko.SFTPClient]:
        try:
            with _client(place, self.ssh) as client:
                yield _sftp(client, place, self.ssh.silence)
        except CorruptError:
            raise
        except TimeoutError as error:
            raise self.ssh.failed(place, f"nothing came for {self.ssh.silence:g} s") from error
        except (OSError, *_GARBLED, MagmaRemoteError) as error:
            raise self.ssh.failed(place, str(error) or repr(error)) from error


@contextmanager
def _client(place: Place, ssh: Ssh) -> Iterator[paramiko.SSHClient]:
    """A connection whose host key is known."""
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    for known in [ssh.known_hosts] if ssh.known_hosts else _KNOWN_HOSTS:
        with suppress(FileNotFoundError):
            client.load_host_keys(str(known.expanduser()))
    try:
        client.connect(
            place.host,
            port=place.port,
            username=place.user,
            key_filename=str(ssh.key) if ssh.key else None,
            allow_agent=ssh.key is None,
            look_for_keys=ssh.key is None,
            timeout=ssh.silence,
            banner_timeout=ssh.silence,
            auth_timeout=ssh.silence,
            channel_timeout=ssh.silence,
        )
        yield client
    finally:
        client.close()


def _sftp(client: paramiko.SSHClient, place: Place, silence: float) -> paramiko.SFTPClient:
    """A session whose server keeps off trials; the plain subsystem where it cannot be started like that."""
    transport = client.get_transport()
    if transport is None:
        raise paramiko.SSHException("the connection broke")
    for start in (lambda channel: channel.exec_command(_polite_server(place)), _subsystem):
        channel = transport.open_session(timeout=silence)
        channel.settimeout(silence)
        with suppress(*_GARBLED):
            start(channel)
            return paramiko.SFTPClient(channel)
    raise paramiko.SSHException("the host has no SFTP server: set COPY_TYPE to rsync, or install openssh-sftp-server")


def _subsystem(channel: paramiko.Channel) -> None:
    channel.invoke_subsystem("sftp")


def _polite_server(place: Place) -> str:
    """A line for any login shell."""
    find = f"for server in {shlex.join(_SERVERS)}; do [ -x $server ] && exec {shlex.join(polite(place))} $server; done"
    return shlex.join(["exec", "sh", "-c", find])


def _marks(sftp: paramiko.SFTPClient, place: Place) -> Iterator[tuple[str, bytes]]:
    sftp.lstat(_name(place.workdirs, "worker.json"))  # else it is no worker's
    with suppress(FileNotFoundError):  # it has had no campaign yet
        for status in sftp.listdir_attr(os.fsdecode(_name(place.workdirs, MARKS))):
            named = fnmatch(status.filename, MARK) and not status.filename.startswith(".")
            if named and S_ISREG(status.st_mode or 0) and (status.st_size or 0) <= LARGEST_MARK:
                with suppress(FileNotFoundError):  # confirmed meanwhile
                    yield status.filename, _read(sftp, _name(place.folder, status.filename))


def _read(sftp: paramiko.SFTPClient, name: bytes) -> bytes:
    with sftp.open(name, "rb") as file:
        return bytes(file.read(LARGEST_MARK))


def _fetch(sftp: paramiko.SFTPClient, folder: str, destination: Path) -> None:
    with sftp.open(_name(folder, NAME), "rb") as file:
        file.prefetch()
        data = file.read()

    def bring(entry: Entry, path: Path) -> None:
        name = _name(folder, entry.path)
        status = sftp.lstat(name)
        if not S_ISREG(status.st_mode or 0):
            raise TransferError(f"{entry.path!r} is no file there any more")
        with path.open("ab") as new:
            while new.tell() < entry.size:
                _append(sftp, name, new, min(new.tell() + _WINDOW, entry.size))
        path.chmod(entry.mode)
        os.utime(path, (status.st_atime or 0, status.st_mtime or 0))

    lay_out(data, destination, bring)


def _append(sftp: paramiko.SFTPClient, name: bytes, new: BinaryIO, end: int) -> None:
    """Add to `new` what the other file has from there on to `end`."""
    file = sftp.open(name, "rb")  # anew for each window: paramiko may keep what it asked for twice until the end
    file.seek(new.tell())
    file.prefetch(end)
    while new.tell() < end:
        data = file.read(min(_CHUNK, end - new.tell()))
        if not data:
            raise TransferError("a file there is shorter than its manifest says")
        new.write(data)
    file.close()  # not on the way out of an error: it would ask a server that may be gone


def _name(folder: str, path: str) -> bytes:
    """Names are bytes on the wire; a queue's text is what the worker's system made of them."""
    return os.fsencode(f"{folder}/{from_wire(path)}")
