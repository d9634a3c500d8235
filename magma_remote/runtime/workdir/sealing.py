"""Provenance of a quickrun: each complete trial gets a manifest of its files, as a worker gives one to its results."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from magma_remote.model.entries import JobState
from magma_remote.model.manifest import MODE_BITS, Entry, Kind, Manifest
from magma_remote.model.manifest import write as write_text
from magma_remote.runtime.files import read_file, replace_file
from magma_remote.runtime.storage import storage_errors
from magma_remote.runtime.workdir.asked import PROVENANCE
from magma_remote.runtime.workdir.entering import manifest_path
from magma_remote.runtime.workdir.manifest import scan_below
from magma_remote.runtime.workdir.origin import UNKNOWN, entries, mapping, note_edition, read_origin
from magma_remote.runtime.workdir.provenance import file_digest, head, write
from magma_remote.runtime.workdir.provenance_trial import digest_of, read_object, trial_facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from magma_remote.model.jobs import Job
    from magma_remote.model.layout import Workdir
    from magma_remote.model.result import Result

_AGAIN = "make room, or see who owns it, and run the same command again: no trial runs twice"


@dataclass(frozen=True, kw_only=True)
class QuickrunFacts:
    """`text` is the campaign file, `tree` the digest of all that images are made from, `host` this machine's name.

    `timeout` is in seconds; `settings` are the file's keys and values. `magma` is as `note_edition` takes it.
    """

    source: str
    text: str
    settings: Mapping[str, object]
    timeout: float
    tree: str
    host: str
    magma: Mapping[str, Any]


def note_begun(workdir: Workdir, facts: QuickrunFacts, jobs: int) -> None:
    """Keep which file and tree the trials run with from now on, of which there are `jobs` in all."""
    edition = {"source": facts.source, "sha256": file_digest(facts.text), "tree": facts.tree, "jobs": jobs}
    note_edition(workdir, edition, facts.magma, round(time.time(), 3))


def seal(workdir: Workdir, facts: QuickrunFacts, results: Sequence[Result]) -> Path:
    """Write the manifests that are not there yet, and manifest.json; StorageError where that fails."""
    with storage_errors(_AGAIN):
        known = read_object(workdir.root / PROVENANCE)
        hosts = {_key(trial): trial.get("host") for trial in known.get("trials") or ()}
        sealed: set[str] = set()
        for result in results:
            if result.complete:
                sealed.update(_seal_trial(workdir, result.job, anew=_ran_now(result)))
        origin = read_origin(workdir)
        members = {
            **head("magma-remote quickrun", origin),
            "campaign": {**_campaign(workdir, facts, origin), "ended_at": _ended_at(workdir, results)},
            "magma": {
                **UNKNOWN,
                **mapping(origin, "magma"),
                "later": entries(origin, "later"),
                "tree": facts.tree,
            },
            "workers": [],
            "others": dict(_others(workdir, sealed)),
        }
        return write(workdir, members, (_trial(workdir, facts, result, hosts) for result in results), {})


def _key(trial: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(trial.get(key) for key in ("fuzzer", "target", "program", "run"))


def _campaign(workdir: Workdir, facts: QuickrunFacts, origin: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": read_object(workdir.campaign).get("id"),
        "source": facts.source,
        "text": facts.text,
        "sha256": file_digest(facts.text),
        "settings": dict(facts.settings),
        "timeout": facts.timeout,
        "since": origin.get("at"),
        "state": None,
        "editions": entries(origin, "editions")[:-1],
    }


def _ended_at(workdir: Workdir, results: Sequence[Result]) -> float | None:
    """When the last trial ended; None where one is still to be run."""
    ends = [read_object(workdir.record(result.job)).get("terminated_at") for result in results if result.complete]
    known = [end for end in ends if isinstance(end, int | float)]
    return max(known) if known and len(ends) == len(results) else None


def _trial(
    workdir: Workdir, facts: QuickrunFacts, result: Result, hosts: Mapping[tuple[Any, ...], str | None]
) -> dict[str, Any]:
    """The host is known of trials that ran in this call, and of those that an earlier one wrote down."""
    job = result.job
    told = {
        "state": (JobState.DONE if result.complete else JobState.DEAD).value,
        "reason": result.reason.value if result.reason else None,
        "message": result.message or None if result.reason else None,
        "host": facts.host if _ran_now(result) else hosts.get((job.fuzzer, job.target, job.program, job.repeat)),
    }
    return trial_facts(workdir, job, told, done=result.complete)


def _ran_now(result: Result) -> bool:
    """Not in an earlier call, of which less is known."""
    return result.started_at is not None


def _seal_trial(workdir: Workdir, job: Job, *, anew: bool) -> Iterator[str]:
    """The paths of files that the trial's manifest lists; it is written where it is not there, or with `anew`."""
    path = manifest_path(workdir, job)
    if anew or not path.exists():
        path.parent.mkdir(exist_ok=True)
        manifest = Manifest.of(_entries(workdir, job))
        replace_file(path, write_text(manifest).encode())
    entries = json.loads(read_file(path))["entries"]
    return (entry["path"] for entry in entries if entry["kind"] == Kind.FILE.value)


def _entries(workdir: Workdir, job: Job) -> Iterator[Entry]:
    root, entry = workdir.root, workdir.entry(job)
    above = [entry, *entry.relative_to(root).parents]
    for path in above[:-1]:
        place = root / path
        name = place.relative_to(root).as_posix()
        yield Entry(path=name, kind=Kind.DIR, mode=place.stat().st_mode & MODE_BITS)
    inside = entry.relative_to(root).as_posix()
    yield from scan_below(entry, inside)
    files = [path for path in (workdir.container_log(job), workdir.record(job)) if path.is_file()]
    for folder in sorted({path.parent for path in files}):
        yield Entry(path=folder.name, kind=Kind.DIR, mode=folder.stat().st_mode & MODE_BITS)
    for path in files:
        status = path.stat()
        yield Entry(
            path=path.relative_to(root).as_posix(),
            kind=Kind.FILE,
            mode=status.st_mode & MODE_BITS,
            size=status.st_size,
            sha256=digest_of(path),
        )


def _others(workdir: Workdir, sealed: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Files in log/, poc/ and trials/ that no trial's manifest lists, each with its SHA-256."""
    known = set(sealed)
    for folder in (workdir.logs, workdir.pocs, workdir.records):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            name = f"{folder.name}/{path.name}"
            if name not in known and path.is_file() and not path.name.startswith("."):
                yield name, digest_of(path)
