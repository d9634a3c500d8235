"""Processes of this machine, as /proc tells of them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def name_of(pid: int) -> str:
    """Its program's name; empty where it has gone."""
    return _told(pid, "comm").strip()


def state(pid: int) -> str:
    """The kernel's letter for it, such as T for stopped and Z for a zombie; empty where it has gone."""
    return _told(pid, "stat").rpartition(") ")[2][:1]


def _told(pid: int, what: str) -> str:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/{what}").read_text(errors="replace")
    return ""


def alive(pid: int) -> bool:
    """Whether it is there and no zombie that a lazy process 1 has yet to collect."""
    return state(pid) not in {"", "Z"}


def descendants(pid: int) -> list[int]:
    """All that it has started, and what these have started."""
    found: list[int] = []
    with suppress(OSError):  # it ends meanwhile
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *descendants(child)]
    return found
