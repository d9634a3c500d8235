"""What a check of a WORKDIR found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What is wrong at a path; UNPROVEN is what nobody listed, so that nobody can tell."""

    MISSING = "missing"
    ALTERED = "altered"
    EXTRA = "extra"
    UNPROVEN = "unproven"


@dataclass(frozen=True, kw_only=True, order=True)
class Wrong:
    """`path` is relative to WORKDIR; `message` says more, where there is more to say."""

    fault: Fault
    path: str
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`expected` counts the trials that were asked for (None: nobody wrote that down), `proven` those that are whole.

    `files` and `bytes` were hashed. `notes` are sentences on what was not looked at.
    """

    wrongs: tuple[Wrong, ...]
    expected: int | None
    proven: int
    files: int
    bytes: int
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all that was asked for is there as it was written, and nothing else."""
        return not self.wrongs
