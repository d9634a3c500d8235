"""Chooses how results come here: from this machine as they are, from another as COPY_TYPE says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from magma_remote.adapters.rsync import RsyncTransfer
from magma_remote.adapters.transfer_local import LocalTransfer
from magma_remote.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from magma_remote.adapters.ssh import Ssh
    from magma_remote.model.messages import Place


class Remote(Protocol):
    """A `ports.Transfer` and a `ports.Marks`."""

    def fetch(self, place: Place, destination: Path) -> None:
        """As the port says."""

    def marks(self, place: Place) -> Mapping[str, bytes]:
        """As the port says."""


@dataclass(frozen=True, kw_only=True)
class LocalFirst:
    """A `ports.Transfer` and a `ports.Marks`: without ssh where the worker's folder is on this machine."""

    remote: Remote
    local: LocalTransfer = field(default_factory=LocalTransfer)

    def fetch(self, place: Place, destination: Path) -> None:
        """As the port says."""
        if self.local.holds(place):
            self.local.fetch(place, destination)
        else:
            self.remote.fetch(place, destination)

    def marks(self, place: Place) -> Mapping[str, bytes]:
        """As the port says."""
        return self.local.marks(place) if self.local.holds(place) else self.remote.marks(place)


def transfer_for(copy_type: str, ssh: Ssh) -> LocalFirst:
    """A transfer for COPY_TYPE `rsync` or `scp`; UsageError for another."""
    if copy_type == "rsync":
        return LocalFirst(remote=RsyncTransfer(ssh=ssh))
    if copy_type != "scp":
        raise UsageError(f"COPY_TYPE is {copy_type}: allowed are rsync and scp")
    from magma_remote.adapters.sftp import SftpTransfer  # noqa: PLC0415 - paramiko takes a while to import

    return LocalFirst(remote=SftpTransfer(ssh=ssh))
