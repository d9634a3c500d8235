"""Where a queue or a machine is reached."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

DEFAULT_PORT = 11300
"""Where beanstalkd listens when nobody says otherwise."""

_LONGEST_PATH = 107  # bytes: what Linux takes for a unix socket
_LAST_PORT = 65535
_HOST = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*"
)
_NUMBERS = re.compile(r"[0-9.]+")


@dataclass(frozen=True, kw_only=True)
class Address:
    """Of a beanstalkd: `path` of its unix socket or, where that is empty, host (IPv6 without brackets) and port."""

    path: str = ""
    host: str = ""
    port: int = DEFAULT_PORT

    @classmethod
    def parse(cls, text: str) -> Address:
        """`/path`, `unix:/path`, `host:port` or `[IPv6]:port`; ValueError, with a hint or empty, otherwise."""
        if text.startswith(("/", "unix:")):
            return cls(path=_socket(text.removeprefix("unix:")))
        host, colon, port = text.rpartition(":")
        if is_host(text):
            raise ValueError(f"did you mean {cls(host=text).text}?")
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") and ":" in host else ""
        if not colon or not is_host(bare or host) or (":" in host and not bare):
            raise ValueError
        return cls(host=bare or host, port=parse_port(port))

    @property
    def text(self) -> str:
        """As it is written in a settings file."""
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def target(self) -> str | tuple[str, int]:
        """As greenstalk takes it: a path, or host and port."""
        return self.path or (self.host, self.port)


def _socket(path: str) -> str:
    if not path.startswith("/") or path.endswith("/"):
        raise ValueError("write the whole path of the socket, beginning with /")
    if len(path.encode()) > _LONGEST_PATH:
        raise ValueError(f"the path of a socket has at most {_LONGEST_PATH} bytes")
    return path


def is_host(text: str) -> bool:
    """Whether `text` can be an IP address, IPv6 without brackets, or a machine's name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return _HOST.fullmatch(text) is not None and not _NUMBERS.fullmatch(text)
    return "%" not in text or _HOST.fullmatch(text.partition("%")[2]) is not None


def parse_host(text: str) -> str:
    """The same text; ValueError, with a hint or empty, where it can be no machine."""
    if is_host(text):
        return text
    name, _, port = text.rpartition(":")
    raise ValueError("without a port" if is_host(name.strip("[]")) and port.isdigit() else "")


def parse_registry(text: str) -> str:
    """The same text, `host:port` as Docker takes it before an image's name; ValueError, perhaps with a hint."""
    if is_host(text):
        raise ValueError(f"did you mean {text}:5000?")
    address = Address.parse(text)
    if address.path or ":" in address.host:
        raise ValueError("Docker knows a registry by its name or IPv4 address, and its port")
    return address.text


def parse_port(text: str) -> int:
    """A number of a TCP port; ValueError for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_LAST_PORT)) and 1 <= int(text) <= _LAST_PORT):
        raise ValueError(f"a port is a number from 1 to {_LAST_PORT}")
    return int(text)
