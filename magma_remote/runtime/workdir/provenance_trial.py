"""What a WORKDIR itself tells of a trial: its record, who ran it, and the digests of its files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from magma_remote.errors import MagmaRemoteError
from magma_remote.model import manifest
from magma_remote.model.manifest import Kind
from magma_remote.runtime.files import open_file, read_file
from magma_remote.runtime.workdir.entering import execution_path, manifest_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from magma_remote.model.jobs import Job
    from magma_remote.model.layout import Workdir

MOST_FILES = 100
"""A trial with more of them (NO_ARCHIVE) has `files` null: its manifest, whose digest is there, lists them."""

_LARGEST = 64 << 10  # bytes of a manifest of so few files
_OF_RESULT = (
    *("launched_at", "terminated_at", "image", "recipe", "bases", "machine"),
    *("manifest_sha256", "execution_sha256", "files"),
)
_FACTS = ("worker", "worker_name", "host", "cpus", "attempts", "started_at", "ended_at")


def trial_facts(workdir: Workdir, job: Job, told: Mapping[str, Any], *, done: bool) -> dict[str, Any]:
    """All members of a trial's line; what `told` does not know is taken from WORKDIR, else None."""
    job_facts = asdict(job)
    facts: dict[str, Any] = {
        **{key: job_facts[key] for key in ("fuzzer", "target", "program")},
        "run": job.repeat,
        "args": job.args,
        "fuzzargs": job.fuzzargs,
        "state": told["state"],
        "reason": told["reason"],
        "message": told["message"],
        "execution": told.get("run"),
        **{key: told.get(key) for key in _FACTS},
        **dict.fromkeys(_OF_RESULT),
    }
    return {**facts, **_of_result(workdir, job, facts)} if done else facts


def _of_result(workdir: Workdir, job: Job, facts: Mapping[str, Any]) -> dict[str, Any]:
    record = read_object(workdir.record(job))
    execution = read_object(execution_path(workdir, job))
    sha256, files = _manifest(manifest_path(workdir, job))
    return {
        "execution": facts["execution"] or execution.get("run"),
        "worker": facts["worker"] or execution.get("worker"),
        "host": facts["host"] or execution.get("host") or None,
        "cpus": record.get("cpus") or facts["cpus"],
        "started_at": record.get("started_at") or facts["started_at"],
        "ended_at": facts["ended_at"] or record.get("terminated_at"),
        "launched_at": record.get("launched_at"),
        "terminated_at": record.get("terminated_at"),
        "image": record.get("image") or None,
        "recipe": record.get("digest") or None,
        "bases": record.get("bases"),
        "machine": record.get("machine"),
        "manifest_sha256": sha256,
        "execution_sha256": digest_of(execution_path(workdir, job)) if execution else None,
        "files": files,
    }


def build_logs(workdir: Workdir, done: Iterable[Job], known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Those that no manifest of a complete trial lists, and those of `known` that are gone, with their SHA-256."""
    there = {path.name for path in workdir.logs.glob("*_build_*.log")} if workdir.logs.is_dir() else set()
    left = there | {name.removeprefix("log/") for name in known}
    for job in done:
        own = {name for name in left if name.startswith(f"{job.fuzzer}_{job.target}_build_")}
        if own:
            listed = _bytes(manifest_path(workdir, job))
            left -= {name for name in own if json.dumps(f"log/{name}").encode() in listed}
    for name in sorted(left):
        path = workdir.logs / name
        if name not in there:
            yield f"log/{name}", known[f"log/{name}"]
        elif path.is_file():
            yield f"log/{name}", digest_of(path)


def _bytes(path: Path) -> bytes:
    try:
        return read_file(path)
    except FileNotFoundError:
        return b""


def _manifest(path: Path) -> tuple[str | None, dict[str, str] | None]:
    data = _bytes(path)
    if not data:
        return None, None
    sha256 = hashlib.sha256(data).hexdigest()
    if len(data) > _LARGEST:
        return sha256, None
    try:
        entries = manifest.read(data).entries
    except MagmaRemoteError:
        return sha256, None
    files = {entry.path: entry.sha256 for entry in entries if entry.kind is Kind.FILE}
    return sha256, files if len(files) <= MOST_FILES else None


def digest_of(path: Path) -> str:
    """SHA-256 of a file, as hex."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object; empty where it is not there, or is none."""
    try:
        value = json.loads(read_file(path))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
