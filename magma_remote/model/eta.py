"""How long what is left of a campaign lasts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .result import Phase
from .schedule import sets_needed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_OVER = {Phase.ARCHIVING.value, Phase.EXTRACTING.value}


@dataclass(frozen=True, kw_only=True)
class Slots:
    """A worker that takes jobs: its CPU sets, its runs' CPUs each with the seconds until they are free.

    Jobs of the fuzzers in `cannot` are nothing for it.
    """

    sets: tuple[tuple[int, ...], ...]
    busy: tuple[tuple[tuple[int, ...], float], ...] = ()
    cannot: frozenset[str] = frozenset()

    def left(self) -> list[float]:
        """Seconds until each set is free."""
        return [max((left for cpus, left in self.busy if set(cpus) & set(one)), default=0.0) for one in self.sets]

    def room(self, fuzzer: str, demand: int) -> int:
        """How many trials of a fuzzer that need so many CPUs it can run at once."""
        sizes = [len(one) for one in self.sets]
        if fuzzer in self.cannot or demand > sum(sizes):
            return 0
        return len(sizes) // sets_needed(sizes, demand)


def seconds_left(phase: str, since: float, timeout: float) -> float:
    """Seconds that a run keeps its CPUs; what comes before and after fuzzing counts as nothing."""
    if phase in _OVER:
        return 0.0
    return max(0.0, timeout - since) if phase == Phase.FUZZING.value else timeout


def eta(
    remaining: Mapping[str, int],
    ready: Sequence[Slots],
    timeout: float,
    *,
    demands: Mapping[str, int] | None = None,
    others: float = 0.0,
) -> float | None:
    """Seconds until `remaining` jobs (a number per fuzzer) have run, each for `timeout`, on workers that are ready.

    Exact where each job takes one CPU set: with n sets, each free within a timeout, the j-th job (from 0) starts
    j // n timeouts after the (j % n)-th set is free. A wider job (`demands`, CPUs per fuzzer, 1 where left out)
    counts as so many sets as there are to each of those that can run at once: a trial that waits for neighbours
    and the gaps that it leaves are not seen. Not before `others` either, the seconds of what runs anywhere.
    None where no worker that is ready can run something that remains.
    """
    widths = 0.0
    free = sorted(left for slots in ready for left in slots.left())
    for fuzzer, count in remaining.items():
        if count:
            room = sum(slots.room(fuzzer, (demands or {}).get(fuzzer, 1)) for slots in ready)
            if not room:
                return None
            widths += count * len(free) / room
    last = math.ceil(widths - 1e-6) - 1  # thirds that should add up to a whole number may miss it
    if last < 0:
        return others
    return max(others, free[last % len(free)] + (last // len(free) + 1) * timeout)
