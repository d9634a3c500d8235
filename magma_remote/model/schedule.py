"""Which free CPU sets a campaign takes, and how long a list of campaigns then lasts."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from ..errors import CpuError

if TYPE_CHECKING:
    from collections.abc import Sequence


def choose_sets(sizes: Sequence[int], free: Sequence[int], demand: int) -> tuple[int, ...]:
    """Pick from the `free` indices (ascending) sets that hold at least `demand` CPUs; () where too few are.

    Neighbours come first: the narrowest stretch of sets wins, then the one with the fewest CPUs, then the
    lowest. `sizes` are CPUs per set; a demand below one set takes one set.
    """
    best: tuple[tuple[int, int, int], tuple[int, int]] | None = None
    end = held = 0
    for start, first in enumerate(free):
        while end < len(free) and (held < demand or end == start):
            held += sizes[free[end]]
            end += 1
        if held < demand:
            break
        candidate = ((free[end - 1] - first, held, first), (start, end))
        best = candidate if best is None else min(best, candidate)
        held -= sizes[first]
    return tuple(free[slice(*best[1])]) if best else ()


def sets_needed(sizes: Sequence[int], demand: int) -> int:
    """How many sets a campaign with this demand takes where all are free; CpuError where all are too few."""
    chosen = choose_sets(sizes, range(len(sizes)), demand)
    if not chosen:
        raise CpuError(
            f"{demand} logical CPUs are asked for at once, but all CPU sets together hold {sum(sizes)}; "
            "ask for fewer, or let WORKERS or WORKER_POOL have more CPUs"
        )
    return len(chosen)


def makespan(demands: Sequence[int], set_sizes: Sequence[int], seconds: float, *, busy: Sequence[float] = ()) -> float:
    """Seconds until all sets are free again, where each trial lasts `seconds`, first come first served.

    `demands` are CPUs per trial in order: one that waits holds back those behind it, as leases do. `busy`
    gives for each set the seconds until it is free now (none is busy where left out). CpuError for a
    demand that can never be met.
    """
    for demand in set(demands):
        sets_needed(set_sizes, demand)
    events = [(left, index) for index, left in enumerate(busy) if left > 0]
    heapq.heapify(events)
    free = sorted(set(range(len(set_sizes))) - {index for _, index in events})
    now, end = 0.0, max([0.0, *busy])
    for demand in demands:
        while not (chosen := choose_sets(set_sizes, free, demand)):
            now = events[0][0]
            while events and events[0][0] <= now:
                free.append(heapq.heappop(events)[1])
            free.sort()
        end = max(end, now + seconds)
        free = [index for index in free if index not in chosen]
        for index in chosen:
            heapq.heappush(events, (now + seconds, index))
    return end
