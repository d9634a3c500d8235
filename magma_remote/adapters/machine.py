"""What the machine that we run on has."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from magma_remote.adapters.process import run
from magma_remote.errors import CpuError, MagmaRemoteError
from magma_remote.model.lscpu import parse_lscpu

if TYPE_CHECKING:
    from collections.abc import Iterator

    from magma_remote.model.lscpu import Cpu

_LSCPU_TIMEOUT = 20.0  # seconds; it takes milliseconds where the machine is not in trouble


def this_machine() -> tuple[tuple[Cpu, ...], frozenset[int]]:
    """Give the online CPUs of this machine and those that this thread's affinity mask allows."""
    if shutil.which("lscpu") is None:
        raise CpuError(
            "lscpu is not installed, and tells which CPUs this machine has; "
            "it is part of the package util-linux (`apt-get install util-linux`)"
        )
    return parse_lscpu(run(["lscpu", "-bp"], timeout=_LSCPU_TIMEOUT)), frozenset(os.sched_getaffinity(0))


@cache
def cpu_model() -> str | None:
    """What this machine's CPUs call themselves, asked once; None where lscpu does not say."""
    with suppress(MagmaRemoteError, ValueError, LookupError, TypeError):
        told = _fields(json.loads(run(["lscpu", "--json"], timeout=_LSCPU_TIMEOUT))["lscpu"])
        return next((data for field, data in told if field == "Model name:"), None)
    return None


def _fields(lines: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """From version 2.39 on, lscpu puts some fields below others."""
    for line in lines:
        yield line["field"], str(line["data"])
        yield from _fields(line.get("children") or [])
