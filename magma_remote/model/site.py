"""Workers as people name them: where the WORKDIRS of each are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from .address import is_host, parse_port
from .messages import Place
from .names import is_plain_name

FORM = "USER@HOST[:PORT]:WORKDIRS"
SSH_PORT = 22
_REMOTE = re.compile(r"([^@:/]+)@(\[[^\]]+\]|[^:@/\[\]]+)(?::([0-9]+))?:(/.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Site:
    """A worker's WORKDIRS; `name` is what people call the worker. The place has no folder yet."""

    name: str
    place: Place


def parse_site(text: str) -> Site:
    """What is written as FORM, an IPv6 address in brackets; ValueError says what is wrong with anything else."""
    found = _REMOTE.fullmatch(text)
    if found is None:
        raise ValueError(f"it is not {FORM}, with WORKDIRS an absolute path")
    user, host, port, path = found.groups()
    bare = host[1:-1] if host.startswith("[") else host
    if not is_host(bare) or (":" in bare) != host.startswith("["):
        raise ValueError(f"{host} is no IP address (IPv6 in brackets) and no host name")
    if not is_plain_name(user):
        raise ValueError(f"{user} is no user's name")
    workdirs = _workdirs(path)
    number = parse_port(port) if port else SSH_PORT
    place = Place(folder="", workdirs=workdirs, token="", host=bare, port=number, user=user)
    return Site(name=bare if number == SSH_PORT else f"{bare} port {number}", place=place)


def _workdirs(path: str) -> str:
    plain = PurePosixPath("/", path.lstrip("/"))
    if ".." in plain.parts or "\0" in path or plain == PurePosixPath("/"):
        raise ValueError(f"{path} cannot be WORKDIRS: write its whole path, without ..")
    return str(plain)
