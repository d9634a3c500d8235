"""What a WORKDIR says of its trials: when each bug was reached and triggered, and which trials are not there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping  # noqa: TC003 - fields are read from the types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import WireError
from . import wire
from .document import show
from .machine import Machine  # noqa: TC001 - as above

if TYPE_CHECKING:
    from collections.abc import Iterable

Trial = tuple[str, str, str, int]
"""Fuzzer, target, program, run: what a trial is known by."""

_KIND = "experiment"
_VERSION = 1  # its own: people keep these files

Findings = dict[str, int]
"""Bug → the first stamp in seconds at which it was seen, as Magma's exp2json takes it."""


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """A trial whose files were read whole. `run` counts from 0.

    `polls` counts dumps that have a row, `last_stamp` is the last of them (seconds, None without any); a trial in which
    no bug was reached is one of these with nothing found. `problems` are lines for people on what is odd about it:
    its figures hold, but are to be looked at. `machine` is where it ran, None where that is not written down, and
    `bases` what its image was made from, as NAME@ID.
    """

    fuzzer: str
    target: str
    program: str
    run: int
    reached: Mapping[str, int]
    triggered: Mapping[str, int]
    polls: int
    last_stamp: int | None
    problems: tuple[str, ...] = ()
    machine: Machine | None = None
    bases: tuple[str, ...] = ()

    @property
    def trial(self) -> Trial:
        """What it is known by."""
        return self.fuzzer, self.target, self.program, self.run


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A trial that was to be there and is not, or cannot be read whole: nothing is known of its bugs.

    `reason` is one word, `message` a line for people; empty where nothing is known.
    """

    fuzzer: str
    target: str
    program: str
    run: int
    reason: str
    message: str

    @property
    def trial(self) -> Trial:
        """What it is known by."""
        return self.fuzzer, self.target, self.program, self.run


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """All that is known of a WORKDIR; what is not known is None or not in its mapping, never guessed.

    Trials and missing ones are in order of fuzzer, target, program, run, and none is both. `timeout` and `poll` are
    in seconds. `settings` are the campaign file's keys; `facts` what else is known (Magma's commit, versions, …).
    `expected` counts the trials that were asked for, and is None where nobody wrote that down: `missing` then names
    the gaps below the largest RUN of each fuzzer and target. `source` says in a few words whose WORKDIR it is.
    `problems` are lines for people on the WORKDIR as a whole, `unread` those of them on folders that could not be
    looked into: which trials are in one is not known.
    """

    trials: tuple[TrialResult, ...]
    missing: tuple[Missing, ...]
    timeout: float | None = None
    poll: int | None = None
    repeat: int | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)
    expected: int | None = None
    source: str = ""
    problems: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """JSON text of any size, with nothing left out."""
        return wire.text(_KIND, self, _VERSION)

    @classmethod
    def decode(cls, body: bytes) -> Experiment:
        """WireError for anything that `encode` of this version did not write, such as two files put together."""
        found = wire.build(cls, wire.members(body, _KIND, _VERSION))
        _check(found)
        return found


def summarize(trials: Iterable[TrialResult]) -> dict[str, Any]:
    """As Magma's exp2json writes it: `results` → fuzzer → target → program → run → `reached`, `triggered` → bug → s."""
    results: dict[str, Any] = {}
    for trial in trials:
        programs = results.setdefault(trial.fuzzer, {}).setdefault(trial.target, {})
        found = {"reached": dict(trial.reached), "triggered": dict(trial.triggered)}
        programs.setdefault(trial.program, {})[str(trial.run)] = found
    return {"results": results}


def _check(found: Experiment) -> None:
    counts = Counter([*(one.trial for one in found.trials), *(one.trial for one in found.missing)])
    twice = next((trial for trial, count in counts.items() if count > 1), None)
    if twice:
        raise WireError(f"trial {show('/'.join(map(str, twice)))} stands in it more than once")
    if found.expected not in {None, len(counts)}:
        raise WireError(f"it names {len(counts)} trials, and says that {found.expected} were asked for")
