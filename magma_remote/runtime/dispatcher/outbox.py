"""What the dispatcher is about to tell its workers."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field


@dataclass
class Outbox:
    """What workers are to be told, by their ids."""

    forget: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    stop: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def sorted(self) -> dict[str, tuple[list[str], list[str]]]:
        """What to forget and what to stop, for each worker that there is something for."""
        workers = sorted(self.forget.keys() | self.stop.keys())
        return {worker: (sorted(self.forget[worker]), sorted(self.stop[worker])) for worker in workers}

    def clear(self, worker: str) -> None:
        """The worker has been told."""
        self.forget.pop(worker, None)
        self.stop.pop(worker, None)
