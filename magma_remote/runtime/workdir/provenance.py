"""`WORKDIR/manifest.json`: where the results in a WORKDIR come from, one line for each trial.

What is not known is null.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import asdict
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from magma_remote.model.entries import JobState
from magma_remote.model.told import VERSION
from magma_remote.runtime.files import open_file, sync_folder
from magma_remote.runtime.storage import storage_errors
from magma_remote.runtime.workdir.asked import PROVENANCE
from magma_remote.runtime.workdir.origin import UNKNOWN, entries, mapping, read_origin, versions
from magma_remote.runtime.workdir.provenance_trial import build_logs, read_object, trial_facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from magma_remote.model.entries import CampaignEntry, JobEntry, RunEntry
    from magma_remote.model.layout import Workdir
    from magma_remote.ports import Ledger

_AGAIN = "make room, or see who owns it, and collect again"
_DIGEST = b'"sha256": "'
_OF_THE_FILE = (b'"written_at": ', _DIGEST)  # lines that tell of manifest.json itself


def file_digest(text: str) -> str:
    """SHA-256 (hex) of a campaign file."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def write_provenance(workdir: Workdir, ledger: Ledger, settings: Mapping[str, object]) -> Path:
    """Write manifest.json of a dispatched campaign, finished or not; `settings` are its file's keys and values.

    StorageError where it cannot be written. Called again, it tells of what is there by then.
    """
    with storage_errors(_AGAIN):
        members = {**members_of(workdir, ledger, settings), "others": _others(workdir, ledger)}
        runs = {run.run: run for run in ledger.runs()}
        names = worker_names(ledger)
        pins = {f"{pin.image.fuzzer}/{pin.image.target}": pin.image.manifest for pin in ledger.pins()}
        trials = (
            trial_facts(
                workdir,
                entry.job,
                told_of(entry, runs.get(entry.run or ""), names),
                done=entry.state is JobState.DONE,
            )
            for entry in ledger.jobs()
        )
        return write(workdir, members, trials, pins)


def members_of(workdir: Workdir, ledger: Ledger, settings: Mapping[str, object]) -> dict[str, Any]:
    """What there is to tell of a dispatched campaign as a whole, but for what `others` are."""
    campaign, origin = ledger.campaign(), read_origin(workdir)
    return {
        **head("magma-remote dispatch", origin),
        "campaign": _campaign(campaign, settings),
        "magma": {
            **UNKNOWN,
            **mapping(origin, "magma"),
            "later": entries(origin, "later"),
            "tree": campaign.tree or None if campaign else None,
        },
        "workers": [
            {"worker": entry.worker, "name": beat.name, "host": beat.host, "version": beat.version or None}
            for entry in ledger.workers()
            for beat in [entry.heartbeat]
        ],
    }


def worker_names(ledger: Ledger) -> dict[str, str]:
    """What people call each worker."""
    return {entry.worker: entry.heartbeat.name for entry in ledger.workers()}


def head(made_by: str, origin: Mapping[str, Any]) -> dict[str, Any]:
    """The members that tell of this program."""
    noted = mapping(origin, "versions")
    return {
        "version": VERSION,
        "made_by": made_by,
        "written_at": round(time.time(), 3),
        "versions": {"magma_remote": None, "python": None, **noted},
        "written_with": versions(),
    }


def _others(workdir: Workdir, ledger: Ledger) -> dict[str, str]:
    """Build logs that no trial brought, since the dispatcher builds too; once the campaign is over they are as known.

    One that was known and is gone stays known: it is missed then.
    """
    known = {name: str(sha256) for name, sha256 in mapping(read_object(workdir.root / PROVENANCE), "others").items()}
    found = dict(build_logs(workdir, [entry.job for entry in ledger.jobs(JobState.DONE)], known))
    campaign = ledger.campaign()
    is_open = campaign is not None and campaign.ended_at is None
    return {name: sha256 if is_open else known.get(name, sha256) for name, sha256 in found.items()}


def _campaign(campaign: CampaignEntry | None, settings: Mapping[str, object]) -> dict[str, Any]:
    if campaign is None:
        return {}
    return {
        "id": campaign.config_id,
        "source": campaign.source,
        "text": campaign.text,
        "sha256": file_digest(campaign.text),
        "settings": dict(settings),
        "timeout": campaign.timeout,
        "since": campaign.since,
        "ended_at": campaign.ended_at,
        "state": campaign.state.value,
        "editions": [asdict(edition) for edition in campaign.editions],
    }


def told_of(entry: JobEntry, run: RunEntry | None, names: Mapping[str, str]) -> dict[str, Any]:
    """What the ledger tells of a trial, as `trial_facts` takes it; `names` are the workers'."""
    done = entry.state is JobState.DONE
    return {
        "state": entry.state.value,
        "reason": None if done else (entry.reason.value if entry.reason else None),
        "message": None if done else (entry.message or None),
        "attempts": entry.attempts,
        "run": run.run if run else None,
        "worker": run.worker if run else None,
        "worker_name": names.get(run.worker) if run else None,
        "host": run.place.host if run and run.place else None,
        "cpus": list(run.cpus) if run and run.cpus else None,
        "started_at": run.started_at if run else None,
        "ended_at": run.ended_at if run else None,
    }


def write(
    workdir: Workdir, members: Mapping[str, Any], trials: Iterable[Mapping[str, Any]], pins: Mapping[str, str]
) -> Path:
    """Replace manifest.json in one step: a trial a line, whatever their number, the images, and its own SHA-256.

    One that says the same already is left as it is, so that who copies WORKDIR anew finds nothing new.
    """
    path = workdir.root / PROVENANCE
    partial = path.with_name(f".{path.name}.new")
    digest = hashlib.sha256()
    with partial.open("wb") as file:
        for text in _texts(members, trials, pins):
            data = text.encode()
            digest.update(data)
            file.write(data)
        file.write(_end(digest.hexdigest()))
        file.flush()
        os.fsync(file.fileno())
    if path.exists() and all(new == old for new, old in zip_longest(_told(partial), _told(path))):
        partial.unlink()
        return path
    partial.replace(path)
    sync_folder(path.parent)
    return path


def is_as_written(data: bytes) -> bool:
    """Whether a manifest.json ends with the SHA-256 of all before it: what it tells is often told nowhere else."""
    text, _, end = data.rpartition(_DIGEST)
    return _DIGEST + end == _end(hashlib.sha256(text).hexdigest())


def _end(digest: str) -> bytes:
    return _DIGEST + f'{digest}"}}\n'.encode()


def _told(path: Path) -> Iterator[bytes]:
    with open_file(path) as file:
        yield from (line for line in file if not line.startswith(_OF_THE_FILE))


def _texts(members: Mapping[str, Any], trials: Iterable[Mapping[str, Any]], pins: Mapping[str, str]) -> Iterator[str]:
    images = images_of((), pins)
    for key, value in members.items():
        yield f"{'{' if key == 'version' else ''}{json.dumps(key)}: {json.dumps(value)},\n"
    yield '"trials": ['
    for number, trial in enumerate(trials):
        _note_image(images, trial)
        yield f"{',' if number else ''}\n{json.dumps(trial)}"
    yield f'\n],\n"images": {json.dumps(images)},\n'


def images_of(trials: Iterable[Mapping[str, Any]], pins: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """For each pair the manifest that it is pinned to, and what its trials' lines tell of their images."""
    images: dict[str, dict[str, Any]] = {
        pair: {"manifest": manifest, "recipes": [], "ids": []} for pair, manifest in pins.items()
    }
    for trial in trials:
        _note_image(images, trial)
    return images


def _note_image(images: dict[str, dict[str, Any]], trial: Mapping[str, Any]) -> None:
    pair = f"{trial['fuzzer']}/{trial['target']}"
    found = images.setdefault(pair, {"manifest": None, "recipes": [], "ids": []})
    for key, value in (("recipes", trial.get("recipe")), ("ids", trial.get("image"))):
        if value and value not in found[key]:
            found[key].append(value)
