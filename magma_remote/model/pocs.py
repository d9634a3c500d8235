"""Test cases that crash a program or trigger a bug: what is known of each, and the index of all in a WORKDIR."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping  # noqa: TC003 - fields are read from the types
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..errors import WireError
from . import wire
from .document import show
from .manifest import is_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .experiment import Trial
    from .jobs import Job

INDEX = "index.json"
"""The index's own file in `poc/`."""

VERSION = 1
NEW = "NEW"
"""In place of a bug's name where a program crashed and no canary tells why."""

_HASH_DIGITS = 8
_LONGEST_BUG = 64
_STRANGE = re.compile(r"[^A-Za-z0-9_.+-]")
_CODE = re.compile(r"exit_code (-?[0-9]{1,10})(?:\s|$)", re.ASCII)


@dataclass(frozen=True, kw_only=True, order=True)
class Poc:
    """`file` is its name in `poc/`, `size` in bytes; `exit_code` is None where runonce.sh did not say one.

    `case` is where the trial's container had it: a text that a fuzzer chose.
    """

    bug: str
    file: str
    sha256: str
    size: int
    exit_code: int | None
    case: str


@dataclass(frozen=True, kw_only=True)
class Extracted:
    """What one trial gave: `findings` counts the test cases that were tried, None where that is not known.

    `image` is the engine's id of the image that they ran in, `recipe` the digest of what it was made from; `assumed`
    says that nobody wrote down which image the trial itself ran in. `problems` are lines for people.
    """

    trial: Trial
    findings: int | None
    pocs: tuple[Poc, ...]
    image: str
    recipe: str
    assumed: bool = False
    problems: tuple[str, ...] = ()

    def to_record(self) -> dict[str, Any]:
        """A JSON object with all of it."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Extracted:
        """What `to_record` gave; LookupError, TypeError or ValueError for anything else."""
        fuzzer, target, program, run = record["trial"]
        return cls(
            trial=(str(fuzzer), str(target), str(program), int(run)),
            findings=record["findings"],
            pocs=tuple(Poc(**poc) for poc in record["pocs"]),
            image=str(record["image"]),
            recipe=str(record["recipe"]),
            assumed=bool(record["assumed"]),
            problems=tuple(map(str, record["problems"])),
        )


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How the extraction of one trial ended: `new` of its PoCs were not in `poc/` before.

    Without `extracted`, `why` says what was in the way; `stopped` is one that somebody ended.
    """

    trial: Trial
    extracted: Extracted | None = None
    new: int = 0
    why: str = ""
    stopped: bool = False


def bug_of(said: str) -> str:
    """The bug that runonce.sh names (`exit_code N bug ID`), fit for a file's name; NEW without one."""
    words = said.split()
    named = words[words.index("bug") + 1 :] if "bug" in words else []
    return _STRANGE.sub("_", named[0])[:_LONGEST_BUG] if named else NEW


def exit_code_of(said: str) -> int | None:
    """The exit code that runonce.sh tells, None where it tells none."""
    match = _CODE.search(said)
    return int(match[1]) if match else None


def poc_name(job: Job, bug: str, sha256: str) -> str:
    """`FUZZER_TARGET_PROGRAM_BUG.HASH`: the hash is of the content, so that equal cases of many trials stand once."""
    return f"{job.fuzzer}_{job.target}_{job.program}_{bug}.{sha256[:_HASH_DIGITS]}"


def sha256_of(content: bytes) -> str:
    """In hex."""
    return hashlib.sha256(content).hexdigest()


def trial_text(trial: Trial) -> str:
    """`FUZZER/TARGET/PROGRAM/RUN`, as below `ar/`."""
    return "/".join(map(str, trial))


def index_of(extracted: Iterable[Extracted], failed: Mapping[Trial, str], others: Iterable[str]) -> dict[str, Any]:
    """The index: `bugs` → target → bug → its PoCs, each with the trials that found it.

    `trials` has each trial's state: `extracted`, `no_findings` or `failed` with a message. `others` are files in
    `poc/` that no trial gave now: a flaky case of an earlier extraction, or somebody else's.
    """
    every = sorted(extracted, key=lambda one: one.trial)
    bugs: dict[str, dict[str, dict[tuple[str, str, str], dict[str, Any]]]] = {}
    for one in every:
        fuzzer, target, program, _ = one.trial
        for poc in one.pocs:
            pocs = bugs.setdefault(target, {}).setdefault(poc.bug, {})
            entry = pocs.setdefault((fuzzer, program, poc.sha256), _entry(fuzzer, program, poc))
            entry["trials"].append(trial_text(one.trial))
    rows = [_row(one) for one in every]
    rows += [{"trial": trial_text(trial), "state": "failed", "message": why} for trial, why in sorted(failed.items())]
    return {
        "version": VERSION,
        "bugs": {
            target: {bug: [pocs[key] for key in sorted(pocs)] for bug, pocs in sorted(of.items())}
            for target, of in sorted(bugs.items())
        },
        "trials": rows,
        "others": sorted(others),
    }


def listed_in(index: bytes) -> dict[str, str]:
    """The SHA-256 of each PoC that an index names, by its name in `poc/`; WireError where it is none of ours."""
    bugs = wire.pick(_Index, wire.parsed(index)).bugs
    every = [wire.pick(_Listed, poc) for of in bugs.values() for pocs in of.values() for poc in pocs]
    for poc in every:
        if "/" in poc.file or not is_bytes(poc.file):
            raise WireError(f"a PoC in it is called {show(poc.file)}")
    return {poc.file: poc.sha256 for poc in every}


@dataclass(frozen=True, kw_only=True)
class _Index:
    bugs: Mapping[str, Mapping[str, tuple[object, ...]]]


@dataclass(frozen=True, kw_only=True)
class _Listed:
    file: str
    sha256: str


def _entry(fuzzer: str, program: str, poc: Poc) -> dict[str, Any]:
    return {
        "file": poc.file,
        "fuzzer": fuzzer,
        "program": program,
        "sha256": poc.sha256,
        "size": poc.size,
        "exit_code": poc.exit_code,
        "trials": [],
    }


def _row(one: Extracted) -> dict[str, Any]:
    return {
        "trial": trial_text(one.trial),
        "state": "extracted" if one.findings or one.pocs else "no_findings",
        "findings": one.findings,
        "pocs": len(one.pocs),
        "image": one.image,
        "recipe": one.recipe,
        "assumed_image": one.assumed,
        "problems": list(one.problems),
    }


def counts(extracted: Iterable[Extracted]) -> dict[str, dict[str, dict[str, int]]]:
    """Target → bug → fuzzer → how many different PoCs, all in order of their names."""
    seen = {(e.trial[1], poc.bug, e.trial[0], e.trial[2], poc.sha256) for e in extracted for poc in e.pocs}
    found: dict[str, dict[str, dict[str, int]]] = {}
    for (target, bug, fuzzer), count in sorted(Counter(key[:3] for key in seen).items()):
        found.setdefault(target, {}).setdefault(bug, {})[fuzzer] = count
    return found
