"""Containers in memory: each follows a script, in no time."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from magma_remote.model.units import Duration
from magma_remote.ports import LogLine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from magma_remote.model.container import ContainerSpec

LAUNCHED = "Campaign launched at 2026-01-31 12:00"
TERMINATED = "Campaign terminated at 2026-01-31 12:01"
_EPOCH = 1_769_860_800.0  # what the first line of each container is stamped with


class Hang(Enum):
    """Where a container stays until it is killed."""

    PRUNING = "pruning"
    FUZZING = "fuzzing"
    ENDING = "ending"


@dataclass(frozen=True, kw_only=True)
class Script:
    """What a container does. Seconds are stamps of its lines: nothing waits for them to pass.

    `pruned` is None where the container ends without a launch, `ran` where it runs all of its TIMEOUT; with
    `dies` there is no terminated line. `files` are written into SHARED, paths relative to it. `scripts` maps a
    part of a script given to `execute` to the chunks of its output. `at` maps a method of the Runner to what
    is called before it acts on this container; what that raises, the method raises.
    """

    pruned: float | None = 0.5
    ran: float | None = None
    dies: bool = False
    hangs: Hang | None = None
    says: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=lambda: {"monitor/5": "A_R,A_T,B_R,B_T\n2,1,1,0\n"})
    scripts: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    at: Mapping[str, Callable[[], object]] = field(default_factory=dict)


class Container:
    """One container: its lines only grow; `ended` is set once."""

    def __init__(self, spec: ContainerSpec, script: Script) -> None:
        self.spec = spec
        self.script = script
        self.started = False
        self.lines: list[LogLine] = []
        self.ended = threading.Event()

    def play(self) -> None:
        """Do at once all that the script has up to its end, or to where it hangs."""
        self.started = True
        if not self.spec.command and self._act():
            self.ended.set()

    def _act(self) -> bool:
        """Whether it came to its end."""
        script, now = self.script, _EPOCH
        self._say(now, *script.says)
        if script.hangs is Hang.PRUNING or script.pruned is None:
            return script.hangs is None
        now += script.pruned
        self._say(now, LAUNCHED)
        self._write()
        if script.hangs is Hang.FUZZING or script.dies:
            return script.hangs is None
        timeout = Duration.parse(self.spec.environment["TIMEOUT"]).seconds
        self._say(now + (timeout if script.ran is None else script.ran), TERMINATED)
        return script.hangs is None

    def _say(self, at: float, *texts: str) -> None:
        self.lines += [LogLine(at=at, text=text) for text in texts]

    def _write(self) -> None:
        for name, text in self.script.files.items():
            path = self.spec.shared / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
