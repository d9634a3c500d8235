"""The CPU sets that campaigns are pinned to."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import accumulate
from operator import attrgetter
from typing import TYPE_CHECKING

from ..errors import CpuError
from .campaign import WorkerMode
from .lscpu import Cpu, parse_lscpu

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet


__all__ = [
    "Cpu",
    "CpuSet",
    "Layout",
    "check_demands",
    "cpu_list",
    "cpu_sets",
    "parse_lscpu",
    "unmet",
]

CpuSet = tuple[int, ...]
"""Numbers of logical CPUs, ascending."""

_NODE: Mapping[WorkerMode, Callable[[Cpu], Hashable]] = {
    WorkerMode.LOGICAL: attrgetter("number"),
    WorkerMode.PHYSICAL: attrgetter("socket", "core"),
    WorkerMode.SOCKET: attrgetter("socket"),
}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a machine's CPUs are shared out.

    `sets` are disjoint, in ascending order of their lowest CPU. `left_over` are CPUs of taken nodes that
    could not fill a set, `spare` those that WORKERS or WORKER_POOL leave alone, `outside` those that the
    affinity mask forbids. `mode` is the one that was applied: a pool makes it logical.
    """

    sets: tuple[CpuSet, ...]
    mode: WorkerMode
    left_over: CpuSet = ()
    spare: CpuSet = ()
    outside: CpuSet = ()

    @property
    def cpus(self) -> CpuSet:
        """All CPUs that campaigns may be pinned to."""
        return tuple(sorted(cpu for cpus in self.sets for cpu in cpus))


def cpu_list(cpus: Iterable[int]) -> str:
    """Numbers for people: `0-3,8`, `none`."""
    runs: list[list[int]] = []
    for cpu in sorted(cpus):
        if runs and cpu == runs[-1][-1] + 1:
            runs[-1][1:] = [cpu]
        else:
            runs.append([cpu])
    return ",".join("-".join(map(str, run)) for run in runs) or "none"


def cpu_sets(
    cpus: Sequence[Cpu],
    *,
    mode: WorkerMode = WorkerMode.LOGICAL,
    workers: int | None = None,
    pool: Sequence[int] | None = None,
    campaign_workers: int = 1,
    allowed: AbstractSet[int] | None = None,
) -> Layout:
    """Share out the CPUs of a machine; `allowed` is the affinity mask, None where there is none to mind.

    Nodes are taken in ascending order until they hold `workers` logical CPUs and are never split, then
    grouped in that order into sets of at least `campaign_workers`. A pool is used as it is, in logical
    mode. CpuError where the machine cannot give what is asked.
    """
    usable = [cpu for cpu in cpus if allowed is None or cpu.number in allowed]
    if pool is not None:
        if workers is not None:
            raise CpuError("WORKERS and WORKER_POOL exclude each other; give one of them")
        mode = WorkerMode.LOGICAL
        taken: Sequence[CpuSet] = [(number,) for number in _checked_pool(pool, usable, cpus)]
    else:
        taken = _take(_nodes(usable, mode), workers, usable, cpus)
    sets, left_over = _gather(taken, campaign_workers)
    if not sets:
        raise CpuError(
            f"CAMPAIGN_WORKERS: one campaign is to have {campaign_workers} logical CPUs, but only "
            f"{len(left_over)} are to be used ({cpu_list(left_over)}); "
            "lower CAMPAIGN_WORKERS, or let WORKERS or WORKER_POOL have more CPUs"
        )
    used = {number for node in taken for number in node}
    here = {cpu.number for cpu in usable}
    return Layout(
        sets=sets,
        mode=mode,
        left_over=left_over,
        spare=tuple(sorted(here - used)),
        outside=tuple(sorted({cpu.number for cpu in cpus} - here)),
    )


def _nodes(cpus: Iterable[Cpu], mode: WorkerMode) -> list[CpuSet]:
    nodes: defaultdict[Hashable, list[int]] = defaultdict(list)
    for cpu in cpus:
        nodes[_NODE[mode](cpu)].append(cpu.number)
    return sorted(tuple(sorted(node)) for node in nodes.values())


def _take(nodes: Sequence[CpuSet], workers: int | None, usable: Sequence[Cpu], cpus: Sequence[Cpu]) -> Sequence[CpuSet]:
    wanted = max(len(usable), 1) if workers is None else workers
    if wanted > len(usable):
        raise CpuError(
            f"WORKERS: at least {wanted} logical CPUs are asked for; {_what_there_is(usable, cpus)}; "
            "lower WORKERS, or start this with a wider affinity mask"
        )
    reached = accumulate(len(node) for node in nodes)
    return nodes[: 1 + next(index for index, count in enumerate(reached) if count >= wanted)]


def _checked_pool(pool: Sequence[int], usable: Sequence[Cpu], cpus: Sequence[Cpu]) -> CpuSet:
    missing = set(pool) - {cpu.number for cpu in usable}
    if missing or not pool:
        raise CpuError(
            f"WORKER_POOL: {f'CPU {cpu_list(missing)} cannot be used' if missing else 'it is empty'}; "
            f"{_what_there_is(usable, cpus)}; name only these"
        )
    return tuple(sorted(set(pool)))


def _what_there_is(usable: Sequence[Cpu], cpus: Sequence[Cpu]) -> str:
    here = {cpu.number for cpu in usable}
    outside = {cpu.number for cpu in cpus} - here
    text = f"the machine has {len(cpus)} online ({cpu_list(cpu.number for cpu in cpus)})"
    return text + (f", of which the affinity mask allows {len(here)} ({cpu_list(here)})" if outside else "")


def _gather(nodes: Iterable[CpuSet], at_least: int) -> tuple[tuple[CpuSet, ...], CpuSet]:
    """Group nodes in their order into sets of at least so many CPUs; what is left at the end comes second."""
    sets: list[CpuSet] = []
    group: list[int] = []
    for node in nodes:
        group += node
        if len(group) >= at_least:
            sets.append(tuple(sorted(group)))
            group = []
    return tuple(sets), tuple(sorted(group))


def unmet(sets: Sequence[CpuSet], demands: Mapping[str, int]) -> dict[str, int]:
    """Those demands (fuzzer → logical CPUs) that all sets together can never meet."""
    there = sum(map(len, sets))
    return {fuzzer: demand for fuzzer, demand in demands.items() if demand > there}


def check_demands(sets: Sequence[CpuSet], demands: Mapping[str, int]) -> None:
    """CpuError that names each fuzzer whose demand (logical CPUs) all sets together can never meet."""
    never = [f"{fuzzer} wants {demand}" for fuzzer, demand in unmet(sets, demands).items()]
    if never:
        raise CpuError(
            f"FUZZER_CAMPAIGN_WORKERS: {', '.join(never)} logical CPUs for one campaign, but all CPU sets "
            f"together hold {sum(map(len, sets))}; lower it, or let WORKERS or WORKER_POOL have more CPUs"
        )
