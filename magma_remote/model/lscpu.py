"""A machine's CPUs, read from what `lscpu -bp` prints."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import CpuError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_DEFAULT_COLUMNS = ("cpu", "core", "socket")
_ABSENT = ("", "-")  # lscpu's marks for "this machine does not say"
_ONLINE = {"y": True, "yes": True, "1": True, "n": False, "no": False, "0": False}


@dataclass(frozen=True, kw_only=True, order=True)
class Cpu:
    """One online logical CPU; `core` tells cores apart within their `socket`."""

    number: int
    core: int
    socket: int


@dataclass(frozen=True)
class _Row:
    line: int
    fields: dict[str, str]

    def number(self, column: str) -> int | None:
        """Give the column's number, None where it is empty or not there; CpuError where it is neither."""
        text = self.fields.get(column, "")
        if text in _ABSENT:
            return None
        if not re.fullmatch(r"[0-9]{1,6}", text, re.ASCII):
            raise _garbage(self.line, f"{column} is {text[:40]!r}, not a number")
        return int(text)

    def online(self) -> bool:
        text = self.fields.get("online", "").lower()
        if text not in _ABSENT and text not in _ONLINE:
            raise _garbage(self.line, f"online is {text[:40]!r}, not Y or N")
        return _ONLINE.get(text, True)


def parse_lscpu(text: str) -> tuple[Cpu, ...]:
    """Read the output of `lscpu -bp` into online CPUs, ascending.

    Columns are found by the header comment where there is one. Without any core column filled (ARM,
    some virtual machines) each CPU is its own core; without sockets there is one. A CPU without a core
    beside CPUs that have one is offline (`lscpu -ap`), as is one that an Online column says so of.
    CpuError names the line that cannot be read.
    """
    rows: dict[int, _Row] = {}
    for row in _rows(text):
        number = row.number("cpu")
        if number is None:
            raise _garbage(row.line, "it has no CPU number")
        if number in rows:
            raise _garbage(row.line, f"CPU {number} was on line {rows[number].line} already")
        rows[number] = row
    cores = {number: row.number("core") for number, row in rows.items()}
    flat = all(core is None for core in cores.values())
    cpus = [
        Cpu(number=number, core=number if core is None else core, socket=rows[number].number("socket") or 0)
        for number, core in sorted(cores.items())
        if rows[number].online() and (flat or core is not None)
    ]
    if not cpus:
        raise CpuError("lscpu's output lists no online CPU; `lscpu -bp` prints what is needed")
    return tuple(cpus)


def _rows(text: str) -> Iterable[_Row]:
    columns: Sequence[str] = _DEFAULT_COLUMNS
    for line, raw in enumerate(text.splitlines(), start=1):
        fields = [part.strip() for part in raw.lstrip("# \t").split(",")]
        if raw.lstrip().startswith("#"):
            names = [name.lower() for name in fields]
            columns = names if "cpu" in names else columns
        elif raw.strip():
            needed = max(columns.index(name) for name in _DEFAULT_COLUMNS if name in columns)
            if len(fields) <= needed:
                raise _garbage(line, f"{raw[:60]!r} has too few columns")
            yield _Row(line, dict(zip(columns, fields, strict=False)))


def _garbage(line: int, what: str) -> CpuError:
    return CpuError(f"line {line} of lscpu's output: {what}; `lscpu -bp` prints what is needed")
