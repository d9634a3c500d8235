"""What a WORKDIR remembers of its campaign, so that a second run goes on where the first one stopped."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from magma_remote.errors import UsageError
from magma_remote.model.campaign import Campaign, CanaryMode
from magma_remote.model.comparable import settings, shown
from magma_remote.model.result import Result
from magma_remote.model.units import Duration
from magma_remote.runtime.files import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from magma_remote.model.jobs import Job
    from magma_remote.model.layout import Workdir

VERSION = 1


def comparable(campaign: Campaign) -> dict[str, Any]:
    """The settings that all trials of one result must share."""
    return settings(campaign) | {
        "CAMPAIGN_WORKERS": campaign.campaign_workers,
        "FUZZER_CAMPAIGN_WORKERS": dict(campaign.fuzzer_campaign_workers),
    }


def open_campaign(workdir: Workdir, campaign: Campaign) -> str:
    """The campaign's id: new in an empty WORKDIR, the old one where the settings are the same.

    UsageError where the WORKDIR is something else's, or its trials could not be compared with ours.
    """
    now = comparable(campaign)
    if not workdir.campaign.exists():
        campaign_id = secrets.token_hex(6)
        write_json(workdir.campaign, {"version": VERSION, "id": campaign_id, "settings": now})
        return campaign_id
    known = read_json(workdir.campaign)
    before = known.get("settings")
    if known.get("version") != VERSION or "id" not in known or not isinstance(before, dict):
        raise UsageError(f"{workdir.campaign} is of another version of this program: take a new --workdir")
    changed = [
        f"{key} was {shown(key, str(before.get(key)))}, is {shown(key, str(value))}"
        for key, value in now.items()
        if before.get(key) != value
    ]
    if changed:
        raise UsageError(
            f"{workdir.root} holds trials that ran with other settings ({'; '.join(changed)}): "
            "they cannot be compared; restore the settings, or take a new --workdir"
        )
    return str(known["id"])


def note_asked(workdir: Workdir, jobs: Iterable[Job]) -> None:
    """Keep which trials are asked for before the first one runs: who reads a killed run's WORKDIR misses the rest."""
    known = read_json(workdir.campaign)
    trials = [[job.fuzzer, job.target, job.program, job.repeat] for job in jobs]
    if known.get("trials") != trials:
        write_json(workdir.campaign, known | {"trials": trials})


def recorded_campaign(workdir: Workdir) -> Campaign | None:
    """As far as images and limits go, the campaign whose settings a WORKDIR keeps; None where it keeps none.

    UsageError where they cannot be read.
    """
    if not workdir.campaign.exists():
        return None
    try:
        known = read_json(workdir.campaign)["settings"]
        return Campaign(
            repeat=1,
            fuzzers=(),
            targets=(),
            timeout=Duration.parse(f"{known['TIMEOUT']:g}s"),
            poll=int(known["POLL"]),
            canary_mode=CanaryMode(known["CANARY_MODE"]),
            isan=bool(known["ISAN"]),
            harden=bool(known["HARDEN"]),
            cache_on_disk=bool(known["CACHE_ON_DISK"]),
        )
    except (LookupError, TypeError, ValueError) as error:
        raise UsageError(f"{workdir.campaign} is not as this program writes it ({error!r})") from error


def done(workdir: Workdir, jobs: Iterable[Job]) -> tuple[Job, ...]:
    """Those jobs that have their entry in `ar/`; UsageError where `ar/` has entries that no job asks for."""
    asked = {workdir.entry(job): job for job in jobs}
    present = set(workdir.ar.glob("*/*/*/*"))
    extra = sorted(present - set(asked))
    if extra:
        raise UsageError(
            f"{workdir.root} holds {len(extra)} trials that this campaign file does not ask for, such as "
            f"{extra[0]}: they would be counted with it; take a new --workdir"
        )
    return tuple(job for entry, job in asked.items() if entry in present)


def earlier(workdir: Workdir, job: Job) -> Result:
    """What an earlier run recorded of a trial that has its entry in `ar/`; UsageError where it had other arguments."""
    path = workdir.record(job)
    record = read_json(path) if path.exists() else {}
    before = record.get("job") or asdict(job)
    if before != asdict(job):
        raise UsageError(
            f"{workdir.entry(job)} ran with other arguments ({before}), now it is to run as {job}: "
            "these cannot be compared; restore FUZZARGS, or take a new --workdir"
        )
    return Result.from_record(job, record)


def refuse_foreign(workdir: Workdir) -> None:
    """UsageError where the folder holds anything but a campaign of ours."""
    if workdir.campaign.exists() or not workdir.root.exists():
        return
    found = sorted(
        path.name for path in workdir.root.iterdir() if path.name not in {".lock", f".{workdir.campaign.name}.new"}
    )
    if found:
        raise UsageError(
            f"{workdir.root} is not empty ({found[0]}) and holds no campaign of this program: take another --workdir"
        )
