"""One tree of errors: every failure that a user can cause or meet has a class and a message to act on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class MagmaRemoteError(Exception):
    """Base of all of them. `str()` says what failed, where, and what to do next."""

    exit_code = 1


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong in a file that a user wrote.

    `line` counts from 1 and is None where no line is to blame (a missing key). `source` is its file, where that is
    not the error's.
    """

    key: str
    found: str
    allowed: str
    line: int | None = None
    hint: str = ""
    source: str = ""

    def __str__(self) -> str:
        """`KEY: found …; allowed: …; hint`, without the place."""
        text = f"{self.key}: {self.found}" if self.key else self.found
        if self.allowed:
            text += f"; allowed: {self.allowed}"
        return f"{text}; {self.hint}" if self.hint else text


class ConfigError(MagmaRemoteError):
    """A configuration that is refused, with everything that is wrong in it."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem], *, source: str = "") -> None:
        self.problems = tuple(problems)
        self.source = source
        super().__init__("\n".join(f"{self._place(p)}{p}" for p in self.problems))

    @classmethod
    def joined(cls, errors: Iterable[ConfigError]) -> ConfigError:
        """Everything that is wrong in several files, as one error."""
        return cls(replace(p, source=p.source or error.source) for error in errors for p in error.problems)

    def _place(self, problem: Problem) -> str:
        source = problem.source or self.source
        parts = [source] if source else []
        if problem.line is not None:
            parts.append(str(problem.line) if source else f"line {problem.line}")
        return ":".join(parts) + ": " if parts else ""


class UsageError(MagmaRemoteError):
    """The command line or the place that it names cannot be used as asked."""

    exit_code = 2


class WireError(MagmaRemoteError):
    """A message of ours that is not in the form that this version speaks."""


class CpuError(MagmaRemoteError):
    """A demand for CPUs that this machine cannot meet, or a topology that cannot be read."""

    exit_code = 2


class EngineError(MagmaRemoteError):
    """Docker Engine is not there, refuses, or answered what cannot be used."""


class EngineGoneError(EngineError):
    """Docker Engine did not answer at all; it may be back in a moment."""


class RegistryError(MagmaRemoteError):
    """The registry of images does not answer, or refuses what was asked of it."""


class LostImageError(UsageError):
    """An image that a campaign runs with is nowhere any more: no other one may take its place."""


class BuildError(MagmaRemoteError):
    """An image did not build. `log_tail` holds the last lines of the build."""

    def __init__(self, message: str, *, log_tail: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.log_tail = log_tail


class StorageError(MagmaRemoteError):
    """A folder or file system that results or caches need is full, missing or held by another run."""


class BusyError(MagmaRemoteError):
    """Another run on this machine holds what this one needs; the message names the holder."""


class StoppedError(MagmaRemoteError):
    """Whoever waited was told to stop before it got what it waited for."""


class QueueError(MagmaRemoteError):
    """The queue refuses what was asked of it, or is no beanstalkd at all."""


class QueueGoneError(QueueError):
    """The queue's server does not answer; what was reserved through this connection is, or will be, ready again."""


class LedgerError(MagmaRemoteError):
    """The ledger cannot be read or written, or is of another version."""


class LedgerAwayError(LedgerError):
    """The ledger's disk is full or fails, or others keep it busy: it may be well in a moment."""


class NoCampaignError(LedgerError):
    """Nothing was dispatched yet where a campaign is asked about."""

    exit_code = 2


class TransferError(MagmaRemoteError):
    """A result could not be brought here; another try may succeed, and goes on where this one stopped."""


class CorruptError(MagmaRemoteError):
    """A result is not what its worker's manifest says, or would leave its folder."""
