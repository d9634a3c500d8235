"""The one way to start another program: an argument list, a time limit, and errors to act on."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from magma_remote.errors import MagmaRemoteError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

_TAIL = 400  # characters of a failed program's words that a message repeats


def run(args: Sequence[str], *, timeout: float, cpus: Collection[int] | None = None) -> str:
    """Run a program to its end and return its standard output; its locale is C, its input empty.

    It and its children keep to `cpus` where given. MagmaRemoteError where it is missing, takes longer
    than `timeout` seconds (it is killed then) or exits with anything but 0.
    """
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        with _pinned(cpus):
            done = subprocess.run(
                args,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout,
                check=True,
                encoding="utf-8",
                errors="replace",
                env=environment,
            )
    except FileNotFoundError as error:
        raise MagmaRemoteError(f"{args[0]}: not found; install it, or put it on PATH") from error
    except OSError as error:
        raise MagmaRemoteError(f"{args[0]}: cannot be started: {error.strerror or error}") from error
    except subprocess.TimeoutExpired as error:
        raise MagmaRemoteError(f"{args[0]}: no end within {timeout:g} s; it was killed") from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout or "").strip()[-_TAIL:] or "it said nothing"
        raise MagmaRemoteError(f"{args[0]}: failed with status {error.returncode}: {said}") from error
    return done.stdout


@contextmanager
def _pinned(cpus: Collection[int] | None) -> Iterator[None]:
    """Keep this thread, and with it what it starts, on some CPUs: a mask is a thread's own and inherited."""
    if cpus is None:
        yield
        return
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, cpus)
        yield
    finally:
        os.sched_setaffinity(0, before)
