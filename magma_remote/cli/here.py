"""Where this machine is, and whose files the containers on it make."""

from __future__ import annotations

import os
import re
import socket

from magma_remote.runtime.images.images import Owner

MAGMAS_USER = 1000  # the uid and gid that Magma's Dockerfile itself falls back to


def own_address() -> str:
    """The machine's address towards the network, loopback without one; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1 of RFC 5737: routed by default, reached never
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def image_owner() -> Owner:
    """Whoever started us; root becomes the user behind sudo or Magma's own, for Magma's build refuses gid 0."""
    behind = {name: os.environ.get(name, "") for name in ("SUDO_UID", "SUDO_GID")}
    uid, gid = (int(text) if re.fullmatch("[0-9]{1,9}", text, re.ASCII) else 0 for text in behind.values())
    return Owner(uid=os.getuid() or uid or MAGMAS_USER, gid=os.getgid() or gid or MAGMAS_USER)
