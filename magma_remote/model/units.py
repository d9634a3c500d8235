"""Durations and sizes as Magma's captain writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@dataclass(frozen=True)
class Duration:
    """A time such as `24h`: `text` goes to `timeout(1)` in the container, `seconds` is what it means."""

    text: str
    seconds: float

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Read a positive number with one of the suffixes s, m, h, d; ValueError otherwise."""
        match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)([smhd])", text, re.ASCII)
        if not match or float(match[1]) <= 0:
            raise ValueError(text)
        return cls(text, float(match[1]) * _SECONDS[match[2]])


@dataclass(frozen=True)
class Size:
    """A size such as `16g` as `mount -o size=` takes it: powers of 1024."""

    text: str
    bytes: int

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read a positive integer with one of the suffixes k, m, g, t or none; ValueError otherwise."""
        match = re.fullmatch(r"([0-9]{1,15})([kmgt]?)", text, re.ASCII | re.IGNORECASE)
        if not match or int(match[1]) == 0:
            raise ValueError(text)
        return cls(text, int(match[1]) * _BYTES[match[2].lower()])


def human_seconds(seconds: float) -> str:
    """`90061` → `1 d 1 h`: the two largest units that say something."""
    left = round(seconds)
    parts = []
    for suffix, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {suffix}")
    return " ".join(parts[:2]) or "0 s"


def human_bytes(count: float) -> str:
    """`1536` → `1.5 KiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:  # noqa: PLR2004 - the unit's own base
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
