"""What a WORKDIR is to hold, by all that anybody wrote down of it: the ledger, manifest.json, or nobody."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from magma_remote.errors import UsageError, WireError
from magma_remote.model.asked import uneven
from magma_remote.model.entries import CampaignState, JobState
from magma_remote.model.jobs import Job
from magma_remote.model.layout import trial_key
from magma_remote.model.verdict import Fault, Wrong
from magma_remote.runtime.files import read_json
from magma_remote.runtime.verifying.trial import Expected
from magma_remote.runtime.workdir.asked import PROVENANCE
from magma_remote.runtime.workdir.experiment import read_experiment
from magma_remote.runtime.workdir.provenance import VERSION, file_digest, is_as_written

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from magma_remote.model.entries import CampaignEntry, JobEntry, RunEntry
    from magma_remote.model.layout import Workdir
    from magma_remote.ports import Ledger

_LEDGER = "the ledger"
_NOBODY = (
    "there is no ledger and no manifest.json: nobody wrote down what the files were, so that no digest could be "
    "compared; tarballs were read to their ends, and gaps among the trials are named"
)


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """`others` are files in log/, poc/ and trials/ that belong to no complete trial; the rest is as in Verdict."""

    trials: tuple[Expected, ...] = ()
    expected: int | None = None
    wrongs: tuple[Wrong, ...] = ()
    notes: tuple[str, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)


def expectation(workdir: Workdir, ledger: Ledger | None) -> Expectation:
    """UsageError where manifest.json is of another version."""
    path = workdir.root / PROVENANCE
    told: Mapping[str, Any] | None = None
    if path.exists():
        with suppress(UsageError):  # it is no JSON: damaged, which is what there is to tell
            told = read_json(path)
        if told and told.get("version") not in {None, VERSION}:
            raise UsageError(f"{path} is of another version of this program: verify it with that one")
    by_manifest = _of_manifest(told or {}, path) if path.exists() else None
    campaign = ledger.campaign() if ledger else None
    if ledger and campaign:
        return _of_ledger(ledger, campaign, told or {}, by_manifest)
    return by_manifest or _of_nobody(workdir)


def _of_nobody(workdir: Workdir) -> Expectation:
    """Captain's, or a killed quickrun's: what can be told without digests; UsageError where there is nothing at all."""
    experiment = read_experiment(workdir.root)
    if not (experiment.trials or experiment.missing or experiment.problems):
        raise UsageError(
            f"{workdir.root} holds no trial, and nobody wrote down that there should be any: is it the one?"
        )
    wrongs = [
        Wrong(
            fault=Fault.MISSING,
            path=f"ar/{one.fuzzer}/{one.target}/{one.program}/{one.run}",
            message=f"{one.reason}: {one.message}",
        )
        for one in experiment.missing
    ]
    fewer = uneven([*(one.trial for one in experiment.trials), *(one.trial for one in experiment.missing)])
    odd = [problem for problem in experiment.problems if problem != fewer]
    wrongs += [Wrong(fault=Fault.EXTRA, path="ar", message=problem) for problem in odd]
    unproven = [
        Wrong(fault=Fault.UNPROVEN, path=f"ar/{one.fuzzer}/{one.target}/{one.program}/{one.run}")
        for one in experiment.trials
    ]
    return Expectation(wrongs=(*wrongs, *unproven), notes=(_NOBODY, *([fewer] if fewer else ())))


def _of_manifest(told: Mapping[str, Any], path: Path) -> Expectation:
    try:
        trials = tuple(_expected_of(trial) for trial in told["trials"])
        wrongs = list(_campaign_wrongs(told, None))
        others = dict(told.get("others") or {})
    except (LookupError, TypeError, ValueError, AttributeError, WireError) as error:
        wrong = Wrong(fault=Fault.ALTERED, path=PROVENANCE, message=f"it is not as it was written: {error!r}")
        return Expectation(wrongs=(wrong,))
    if not is_as_written(path):
        wrongs.append(Wrong(fault=Fault.ALTERED, path=PROVENANCE, message="it does not have the digest at its end"))
    return Expectation(trials=trials, expected=len(trials), wrongs=tuple(wrongs), others=others)


def _job(trial: Mapping[str, Any]) -> Job:
    names = {key: str(trial[key]) for key in ("fuzzer", "target", "program", "args", "fuzzargs")}
    job = Job(repeat=int(trial["run"]), **names)
    job.check()
    return job


def _expected_of(trial: Mapping[str, Any]) -> Expected:
    sha256 = trial["manifest_sha256"]
    return Expected(
        job=_job(trial),
        done=trial["state"] == JobState.DONE.value,
        why=f"{trial['reason'] or trial['state']}: {trial['message'] or 'it is not complete'}",
        manifests={PROVENANCE: str(sha256)} if sha256 else {},
        execution=str(trial["execution"] or ""),
        execution_sha256=trial["execution_sha256"],
        files=trial["files"],
    )


def _campaign_wrongs(told: Mapping[str, Any], campaign: CampaignEntry | None) -> Iterator[Wrong]:
    said = told["campaign"]
    text = str(said["text"])
    if file_digest(text) != said["sha256"]:
        yield Wrong(fault=Fault.ALTERED, path=PROVENANCE, message="the campaign file in it does not have its digest")
    if campaign and not _is_of(said["id"], text, campaign):
        yield Wrong(fault=Fault.ALTERED, path=PROVENANCE, message="it is of another campaign than the ledger")


def _is_of(config_id: str, text: str, campaign: CampaignEntry) -> bool:
    """A campaign that was extended just now may still have the manifest.json of its file before."""
    known = {edition.sha256 for edition in campaign.editions}
    return config_id == campaign.config_id and (text == campaign.text or file_digest(text) in known)


def _of_ledger(
    ledger: Ledger, campaign: CampaignEntry, told: Mapping[str, Any], found: Expectation | None
) -> Expectation:
    """The ledger is the truth; what manifest.json says of a trial that has its result is to agree with it."""
    runs = {run.run: run for run in ledger.runs()}
    entries = list(ledger.jobs())
    over = campaign.state is not CampaignState.OPEN
    notes = () if over else ("the campaign has not ended: trials that still run count as missing",)
    by_key = {trial_key(expected.job): expected for expected in found.trials} if found else {}
    wrongs = list(found.wrongs) if found else []
    if found and found.trials:
        wrongs += (wrong for wrong in _campaign_wrongs(told, campaign) if wrong not in wrongs)
        wrongs += _disagreements(entries, by_key) if over else ()
    elif not found and over:
        message = "it tells where the results come from: `magma-remote collect` writes it anew"
        wrongs.append(Wrong(fault=Fault.MISSING, path=PROVENANCE, message=message))
    trials = tuple(_joined(entry, runs.get(entry.run or ""), by_key) for entry in entries)
    return Expectation(trials=trials, expected=len(trials), wrongs=tuple(wrongs), notes=notes)


def _joined(entry: JobEntry, run: RunEntry | None, by_manifest: Mapping[str, Expected]) -> Expected:
    done = entry.state is JobState.DONE
    why = f"{entry.reason.value if entry.reason else entry.state.value}: {entry.message or 'it is not complete'}"
    told = by_manifest.get(trial_key(entry.job))
    known = told if told and told.done else None
    return Expected(
        job=entry.job,
        done=done,
        why=why,
        manifests={**({_LEDGER: run.manifest} if run and run.manifest else {}), **(known.manifests if known else {})},
        execution=entry.run or "",
        execution_sha256=known.execution_sha256 if known else None,
        files=known.files if known else None,
    )


def _disagreements(entries: list[JobEntry], by_manifest: Mapping[str, Expected]) -> Iterator[Wrong]:
    """Of a campaign that is over manifest.json tells of every job as the ledger does."""
    for entry in entries:
        key = trial_key(entry.job)
        told = by_manifest.get(key)
        if told is None or told.job != entry.job or told.done != (entry.state is JobState.DONE):
            yield Wrong(fault=Fault.ALTERED, path=PROVENANCE, message=f"it does not tell of {key} as the ledger does")
    extra = by_manifest.keys() - {trial_key(entry.job) for entry in entries}
    for key in sorted(extra):
        yield Wrong(fault=Fault.ALTERED, path=PROVENANCE, message=f"it tells of {key}, of which the ledger does not")
