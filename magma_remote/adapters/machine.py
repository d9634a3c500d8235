"""What the machine that we run on has."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from magma_remote.adapters.process import run
from magma_remote.errors import CpuError
from magma_remote.model.lscpu import parse_lscpu

if TYPE_CHECKING:
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
