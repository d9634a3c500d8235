"""Keeps our own work off the CPUs of running trials."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from magma_remote.model.cpus import CpuSet
    from magma_remote.ports import Guards

THIS_THREAD = 0


def stay_on(cpus: Collection[int], thread: int = THIS_THREAD) -> None:
    """Keep this thread, and those that it starts, on CPUs that no trial of another run is pinned to."""
    with suppress(OSError):  # the machine has taken them from us: the engine will say so with the first container
        os.sched_setaffinity(thread, cpus)


def all_threads() -> tuple[int, ...]:
    """The numbers of all threads of this process, for the functions here that take some."""
    return tuple(int(path.name) for path in Path("/proc/self/task").iterdir())


def with_children() -> tuple[int, ...]:
    """The same, and those of the processes that they have started, and so on, as far as these still run."""
    found: list[int] = []
    left = [os.getpid()]
    while left:
        for task in _tasks(left.pop()):
            found.append(int(task.name))
            with suppress(OSError):  # it has ended meanwhile
                left += map(int, (task / "children").read_text().split())
    return tuple(found)


def _tasks(process: int) -> list[Path]:
    with suppress(OSError):  # as above
        return list(Path(f"/proc/{process}/task").iterdir())
    return []


def keep_off(
    trial_cpus: CpuSet, allowed: frozenset[int], guards: Guards, *, threads: Iterable[int] = (THIS_THREAD,)
) -> bool:
    """Move threads, and those that they start, to CPUs that no trial of any run is pinned to; ours are `trial_cpus`.

    False where there are none: then we share the trials' CPUs, at idle priority, which beside containers of another
    cgroup counts little; what keeps our share small is that there is little to do.
    """
    others = allowed - set(trial_cpus)
    others -= guards.claimed(others)
    for thread in threads:
        if not others:
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))
        stay_on(others or trial_cpus, thread)
    return bool(others)
