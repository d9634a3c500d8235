"""What Docker Engine answers, read: the lines of a container's log and of a build, and its machine."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from magma_remote import __version__
from magma_remote.adapters.machine import cpu_model
from magma_remote.errors import BuildError, EngineError
from magma_remote.model.machine import Machine
from magma_remote.model.plain import plain
from magma_remote.ports import LogLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from magma_remote.model.image import Recipe


def built_image(answers: Iterator[dict[str, Any]], recipe: Recipe, on_line: Callable[[str], None]) -> str:
    """Hand each line of a build to `on_line`; the image's id, or BuildError with the last lines."""
    tail: list[str] = []
    image = ""
    for answer in answers:
        text = str(answer.get("stream") or answer.get("status") or answer.get("error") or "")
        for line in filter(None, map(plain, text.splitlines())):  # the engine colours what goes to standard error
            on_line(line)
            tail = [*tail[-19:], line]
        image = (answer.get("aux") or {}).get("ID", image)
        if "error" in answer:
            raise BuildError(f"the image {recipe.name} did not build: {answer['error']}", log_tail=tuple(tail))
    if not image:
        raise BuildError(f"the build of {recipe.name} ended without an image", log_tail=tuple(tail))
    return image


def log_line(frame: bytes) -> LogLine:
    """Read a frame `2026-01-31T12:00:00.123456789Z text`; strptime knows no nanoseconds."""
    stamp, _, text = frame.decode(errors="replace").partition(" ")
    match = re.fullmatch(r"(.+T[0-9:]+)(?:\.([0-9]+))?Z", stamp)
    if not match:
        raise EngineError(f"Docker Engine stamped a line of output as {stamp!r}")
    whole = datetime.strptime(match[1], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    return LogLine(at=whole.timestamp() + float(f"0.{match[2] or 0}"), text=text)


def machine(facts: Mapping[str, Any]) -> Machine:
    """What `docker info` says of the machine that we run on, with what it does not say of its CPUs."""
    return Machine(
        host=facts.get("Name") or None,
        system=facts.get("OperatingSystem") or None,
        kernel=facts.get("KernelVersion") or None,
        cpu=cpu_model(),
        docker=facts.get("ServerVersion") or None,
        magma_remote=__version__,
    )
