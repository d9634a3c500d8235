"""What is known of a trial that ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from .canaries import Bugs

if TYPE_CHECKING:
    from .cpus import CpuSet
    from .jobs import Job
    from .machine import Machine
    from .outcome import Reason


class Phase(Enum):
    """Where a running trial is."""

    STARTING = "starting"
    PRUNING = "pruning seeds"
    FUZZING = "fuzzing"
    ARCHIVING = "archiving"
    EXTRACTING = "extracting PoCs"


@dataclass(frozen=True, kw_only=True)
class Result:
    """`reason` is None for a complete trial. Times are seconds since the epoch, None where it did not get there.

    `tail` holds the last lines of the container's or the build's output; `pocs` is None without extraction, `machine`
    where nobody could say. `bases` are what `image` was made from, as NAME@ID.
    """

    job: Job
    reason: Reason | None
    message: str = ""
    warnings: tuple[str, ...] = ()
    tail: tuple[str, ...] = ()
    bugs: Bugs = Bugs()  # noqa: RUF009 - frozen, hence safe to share
    cpus: CpuSet = ()
    image: str = ""
    digest: str = ""
    bases: tuple[str, ...] = ()
    machine: Machine | None = None
    started_at: float | None = None
    launched_at: float | None = None
    terminated_at: float | None = None
    pocs: int | None = None

    @property
    def complete(self) -> bool:
        """Whether the trial counts."""
        return self.reason is None

    def to_record(self) -> dict[str, Any]:
        """A JSON object with these facts, the job as an object of its own."""
        record = asdict(self)
        record["reason"] = self.reason.value if self.reason else None
        record["bugs"] = {"reached": sorted(self.bugs.reached), "triggered": sorted(self.bugs.triggered)}
        return record

    @classmethod
    def from_record(cls, job: Job, record: dict[str, Any]) -> Result:
        """The facts of an earlier run's complete trial that a summary needs; gaps where the record has them."""
        found = record.get("bugs") or {}
        return cls(
            job=job,
            reason=None,
            bugs=Bugs(reached=frozenset(found.get("reached", ())), triggered=frozenset(found.get("triggered", ()))),
            digest=str(record.get("digest", "")),
            image=str(record.get("image", "")),
            warnings=tuple(record.get("warnings", ())),
            pocs=record.get("pocs"),
        )
