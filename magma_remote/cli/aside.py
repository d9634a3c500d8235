"""Commands that may run on a machine beside trials: on no CPU that one of these is pinned to."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from functools import wraps
from threading import Event, Thread
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from magma_remote.adapters import claims
from magma_remote.errors import StorageError
from magma_remote.runtime.affinity import keep_off, with_children
from magma_remote.runtime.signals import held_back

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_AGAIN = 5.0  # seconds; trials come and go while a long command runs

Given = ParamSpec("Given")
Said = TypeVar("Said")


def aside(command: Callable[Given, Said]) -> Callable[Given, Said]:
    """A command that keeps itself, and the programs that it starts, off the CPUs of this machine's trials.

    Where these have all CPUs, it shares them at idle priority: see `keep_off`.
    """

    @wraps(command)
    def kept_off(*args: Given.args, **kwargs: Given.kwargs) -> Said:
        with _stepping_aside():
            return command(*args, **kwargs)

    return kept_off


@contextmanager
def _stepping_aside() -> Iterator[None]:
    allowed = frozenset(os.sched_getaffinity(0))
    _step(allowed)
    over = Event()
    with held_back():  # for good in that thread: a signal that it took would come in the midst of a `held_back` of ours
        Thread(target=_again, args=(allowed, over), name="aside", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _again(allowed: frozenset[int], over: Event) -> None:
    while not over.wait(_AGAIN):
        _step(allowed)


def _step(allowed: frozenset[int]) -> None:
    with suppress(StorageError):  # no place for claims: nobody can have any there
        keep_off((), allowed, claims, threads=with_children())
