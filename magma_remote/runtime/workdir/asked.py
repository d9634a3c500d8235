"""What a WORKDIR was to hold: from the ledger, from manifest.json, or from what quickrun leaves beside its trials."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any

from magma_remote.errors import UsageError, WireError
from magma_remote.model import told
from magma_remote.model.asked import Asked, Why
from magma_remote.model.campaign import Campaign
from magma_remote.model.entries import JobState
from magma_remote.runtime.files import read_file, read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from magma_remote.model.entries import JobEntry
    from magma_remote.model.experiment import Trial
    from magma_remote.model.layout import Workdir
    from magma_remote.model.told import ToldTrial
    from magma_remote.ports import Ledger

PROVENANCE = "manifest.json"
_GONE = Why(reason="gone", message="it was complete, and its entry in ar/ is not there any more", counts=True)
_NEVER = Why(reason="never_ran", message="it was asked for, and nobody wrote down what became of it", counts=True)
_READ = "mend the file, or move it out of the way"


def asked_of_ledger(workdir: Workdir, ledger: Ledger, settings: Mapping[str, object]) -> Asked:
    """Of a dispatched campaign; `settings` are its file's keys and values."""
    campaign = ledger.campaign()
    path = workdir.root / PROVENANCE
    known = facts_in(read_json(path, _READ)) if path.exists() else {}
    trials = {_trial(entry): _why(entry) for entry in ledger.jobs()}
    return Asked(
        trials=trials,
        timeout=campaign.timeout if campaign else None,
        poll=_poll(settings),
        repeat=_whole(settings.get("REPEAT")) or max((run + 1 for *_, run in trials), default=None),
        settings=settings,
        facts={"campaign": campaign.config_id, "file": campaign.source, **known} if campaign else {},
        source="magma-remote dispatch",
    )


def _trial(entry: JobEntry) -> Trial:
    job = entry.job
    return job.fuzzer, job.target, job.program, job.repeat


def _why(entry: JobEntry) -> Why:
    if entry.state is JobState.DONE:
        return _GONE
    if entry.state is JobState.DEAD:
        return Why(reason=entry.reason.value if entry.reason else "unknown", message=entry.message)
    return Why(reason="unfinished", message=f"it is not complete yet ({entry.state.value})")


def asked_of_folder(workdir: Workdir) -> Asked:
    """Of a WORKDIR without a ledger; UsageError where a file of ours in it cannot be read."""
    if (workdir.root / PROVENANCE).exists():
        return _and_since(_asked_of_manifest(workdir.root / PROVENANCE), workdir)
    if workdir.campaign.exists():
        return _asked_of_quickrun(workdir)
    return Asked()


def _and_since(asked: Asked, workdir: Workdir) -> Asked:
    """With what a quickrun was asked for and did later, and was killed before it could write manifest.json anew."""
    if asked.trials is None or not workdir.campaign.exists():
        return asked
    every = {**(_noted(read_json(workdir.campaign, _READ)) or {}), **asked.trials}
    later = {
        trial: why
        for trial, why in _records(workdir)
        if trial in every and (why.counts or trial not in asked.trials)  # else manifest.json has the last word
    }
    repeat = asked.repeat if every.keys() <= asked.trials.keys() else max(run + 1 for *_, run in every)
    return replace(asked, trials=every | later, repeat=repeat)


def _asked_of_manifest(path: Path) -> Asked:
    try:
        found = told.read(read_file(path))
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): {_READ}") from error
    except (WireError, UsageError) as error:
        raise UsageError(f"{path} cannot be read ({error}): {_READ}") from error
    settings = found.campaign.settings or {}
    trials = {(one.fuzzer, one.target, one.program, one.run): _told(one) for one in found.trials}
    return Asked(
        trials=trials,
        timeout=_seconds(found.campaign.timeout),
        poll=_poll(settings),
        repeat=_whole(settings.get("REPEAT")) or max((run + 1 for *_, run in trials), default=None),
        settings=settings,
        facts={"campaign": found.campaign.id, "file": found.campaign.source, **facts_in(found.members)},
        source=found.made_by,
    )


def facts_in(found: Mapping[str, Any]) -> dict[str, object]:
    """What manifest.json tells of a campaign beside its trials, its file's name and its settings."""
    campaign = found.get("campaign")
    told = campaign if isinstance(campaign, dict) else {}
    return {
        "SHA-256 of the file": told.get("sha256"),
        "earlier editions of it": told.get("editions"),
        **{key: found.get(key) for key in ("magma", "images", "versions", "workers")},
    }


def _told(trial: ToldTrial) -> Why:
    if trial.state is JobState.DONE:
        return _GONE
    return Why(reason=trial.reason or _NEVER.reason, message=trial.message or _NEVER.message)


def _asked_of_quickrun(workdir: Workdir) -> Asked:
    known = read_json(workdir.campaign, _READ)
    settings = known.get("settings")
    settings = settings if isinstance(settings, dict) else {}
    records, noted = dict(_records(workdir)), _noted(known)
    return Asked(
        trials=None if noted is None else {**noted, **records},
        failed=records,
        timeout=_seconds(settings.get("TIMEOUT")),
        poll=_poll(settings),
        repeat=max((run + 1 for *_, run in noted or ()), default=None),
        settings=settings,
        facts={"campaign": known.get("id")},
        source="magma-remote quickrun",
    )


def _noted(known: Mapping[str, Any]) -> dict[Trial, Why] | None:
    """The trials that campaign.json names, None where it names none."""
    with suppress(TypeError, ValueError):
        return (
            {(str(f), str(t), str(p), int(run)): _NEVER for f, t, p, run in known["trials"]}
            if "trials" in known
            else None
        )
    return None


def _records(workdir: Workdir) -> Iterator[tuple[Trial, Why]]:
    """Trials that ended, whether they were complete or not."""
    for path in sorted(workdir.records.glob("*.json")):
        with suppress(OSError, ValueError, LookupError, TypeError):
            record = json.loads(read_file(path))
            job, reason = record["job"], record["reason"]
            trial = (job["fuzzer"], job["target"], job["program"], int(job["repeat"]))
            yield trial, Why(reason=reason, message=str(record["message"])) if reason else _GONE


def _poll(settings: Mapping[str, object]) -> int:
    return _whole(settings.get("POLL")) or Campaign.poll


def _seconds(value: object) -> float | None:
    """None for what is no length of time: the files may have been mended by hand."""
    return float(value) if isinstance(value, int | float) and 0 < value < inf else None


def _whole(value: object) -> int | None:
    return value if type(value) is int and value > 0 else None
