"""The same work on many things, in processes of our own, in their order."""

from __future__ import annotations

import ctypes
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TYPE_CHECKING, TypeVar

from magma_remote.errors import StorageError
from magma_remote.runtime.signals import deaf, held_back

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_ALONE = 4  # fewer things for each are done before another process has started
_CHUNK = 4
_SET_PDEATHSIG = 1  # linux/prctl.h

Thing = TypeVar("Thing")
Outcome = TypeVar("Outcome")


def each(
    act: Callable[[Thing], Outcome],
    things: Sequence[Thing],
    *,
    processes: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Outcome]:
    """What `act` gives for each; both may be pickled. `on_progress` is told how many are done, and of how many.

    There are as many processes as CPUs that this one may use unless told. What `act` raises is raised;
    StorageError where a process was killed.
    """
    found = []
    most = processes or len(os.sched_getaffinity(0))
    for count, outcome in enumerate(_outcomes(act, things, min(most, len(things) // _ALONE)), start=1):
        found.append(outcome)
        if on_progress:
            on_progress(count, len(things))
    return found


def _outcomes(act: Callable[[Thing], Outcome], things: Sequence[Thing], processes: int) -> Iterator[Outcome]:
    if processes <= 1:
        yield from map(act, things)
        return
    # fork: what this process has imported is there at once, and no other thread of it takes locks that a reader needs
    pool = ProcessPoolExecutor(
        processes, mp_context=get_context("fork"), initializer=_belong_to, initargs=(os.getpid(),)
    )
    try:
        with held_back():  # all processes are forked here
            outcomes = pool.map(act, things, chunksize=_CHUNK)
        yield from outcomes
    except BrokenProcessPool as error:
        why = "a process that read trials was killed, for want of memory maybe: try again with --processes 1"
        raise StorageError(why) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _belong_to(first: int) -> None:
    """Signals are the first process's to hear; where that is killed this one goes, too, which would wait for ever."""
    deaf()
    ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != first:  # it was killed before
        os._exit(1)
