"""Acts of a process that dies at any call of theirs that changes something."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


# What changes something; each of them is a moment at which the dispatcher may die.
CALLS = ("mkdir", "rename", "replace", "chmod", "unlink", "rmdir", "symlink", "link", "fsync", "utime", "open")


def die_at(number: int, act: Callable[[], object]) -> bool:
    """Do it in a child that kills itself at its n-th call that changes something; whether it came that far."""
    child = os.fork()
    if not child:
        try:
            _arm(number)
            act()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert status == 0 or os.WIFSIGNALED(status), "the child failed by itself"
    return status != 0


def _arm(number: int) -> None:
    left = [number]

    def deadly(call: Callable[..., Any]) -> Callable[..., Any]:
        def count(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return count

    for name in CALLS:
        setattr(os, name, deadly(getattr(os, name)))
