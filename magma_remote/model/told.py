"""What `WORKDIR/manifest.json` tells, as objects whose members have their types: whoever reads it need not look again.

It may have been mended by hand, or come from anywhere: what is of another shape is one message.
"""

from __future__ import annotations

import json
from collections.abc import Mapping  # noqa: TC003 - fields are read from the types
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError, WireError
from . import wire
from .document import show
from .entries import JobState  # noqa: TC001 - as above
from .jobs import Job

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ToldTrial:
    """A line of `trials`, as far as anybody reads it; None is what is not known.

    `files` are the SHA-256 of the trial's files by their paths, None where its manifest alone lists them.
    """

    fuzzer: str
    target: str
    program: str
    run: int
    state: JobState
    args: str = ""
    fuzzargs: str = ""
    reason: str | None = None
    message: str | None = None
    execution: str | None = None
    manifest_sha256: str | None = None
    execution_sha256: str | None = None
    files: Mapping[str, str] | None = None

    @property
    def job(self) -> Job:
        """What was run."""
        return Job(
            repeat=self.run,
            fuzzer=self.fuzzer,
            target=self.target,
            program=self.program,
            args=self.args,
            fuzzargs=self.fuzzargs,
        )


@dataclass(frozen=True, kw_only=True)
class ToldCampaign:
    """The member `campaign`: `text` is the file, `sha256` its digest; `timeout` is a number of seconds, or nothing."""

    source: str
    id: str | None = None
    text: str | None = None
    sha256: str | None = None
    settings: Mapping[str, object] | None = None
    timeout: object = None
    state: str | None = None


@dataclass(frozen=True, kw_only=True)
class Told:
    """All of it; `members` is the whole JSON object.

    `others` are the SHA-256 of files that no trial's manifest lists, None where an older release wrote it.
    """

    made_by: str
    campaign: ToldCampaign
    trials: tuple[ToldTrial, ...]
    others: Mapping[str, str] | None
    members: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Whole:
    version: int
    made_by: str
    campaign: object
    trials: tuple[object, ...]
    others: Mapping[str, str] | None = None


def read(data: bytes) -> Told:
    """From the file's text. UsageError where it is of another version, WireError where it is not as it was written."""
    found = wire.parsed(data)
    version = found.get("version") if isinstance(found, dict) else None
    if type(version) is int and version != VERSION:
        raise UsageError(f"it is of another version of this program ({version}): read it with that one")
    whole = wire.pick(_Whole, found)
    return Told(
        made_by=whole.made_by,
        campaign=wire.pick(ToldCampaign, whole.campaign),
        trials=tuple(map(_trial, whole.trials)),
        others=whole.others,
        members=found,
    )


def _trial(value: object) -> ToldTrial:
    try:
        trial = wire.pick(ToldTrial, value)
        trial.job.check()
    except WireError as error:
        raise WireError(f"{error}, in {show(json.dumps(value))}") from error
    return trial
