"""What a WORKDIR is to hold, by all that anybody wrote down of it: the ledger, manifest.json, or nobody."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from magma_remote.errors import UsageError, WireError
from magma_remote.model import told
from magma_remote.model.asked import uneven
from magma_remote.model.entries import CampaignState, JobState
from magma_remote.model.layout import trial_key
from magma_remote.model.verdict import Fault, Wrong
from magma_remote.runtime.files import read_file
from magma_remote.runtime.verifying import facts
from magma_remote.runtime.verifying.trial import Expected, unreadable
from magma_remote.runtime.workdir.asked import PROVENANCE
from magma_remote.runtime.workdir.origin import ORIGIN, is_noted
from magma_remote.runtime.workdir.provenance import file_digest, is_as_written, told_of, worker_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from magma_remote.model.entries import CampaignEntry, JobEntry
    from magma_remote.model.experiment import Experiment
    from magma_remote.model.layout import Workdir
    from magma_remote.model.told import Told, ToldTrial
    from magma_remote.ports import Ledger
    from magma_remote.runtime.verifying.facts import Settings

_LEDGER = "the ledger"
_NOBODY = (
    "there is no ledger and no manifest.json: nobody wrote down what the files were, so that no digest could be "
    "compared; tarballs were read to their ends, and gaps among the trials are named"
)


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """`others` are files in log/, poc/ and trials/ that belong to no complete trial; the rest is as in Verdict.

    `sealed` says that they are all of them: the campaign is over, and manifest.json of that time has them.
    """

    trials: tuple[Expected, ...] = ()
    expected: int | None = None
    wrongs: tuple[Wrong, ...] = ()
    notes: tuple[str, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)
    sealed: bool = False


def expectation(
    workdir: Workdir,
    ledger: Ledger | None,
    settings: Settings | None,
    *,
    read: Callable[[Path], Experiment],
) -> Expectation:
    """`settings` gives a campaign file's keys and values by its text; `read` reads what nobody wrote anything down of.

    UsageError where manifest.json is of another version.
    """
    found, wrongs = _read(workdir.root / PROVENANCE)
    campaign = ledger.campaign() if ledger else None
    if ledger and campaign:
        by_manifest = _of_manifest(found, wrongs) if found or wrongs else None
        known = facts.settings_in(campaign.text, settings)
        return _of_ledger(_Place(workdir, ledger, known), campaign, found, by_manifest)
    if found:
        known = facts.settings_in(found.campaign.text or "", settings)
        wrongs = (*wrongs, *map(_altered, facts.alone(found, known)))
    return _of_manifest(found, wrongs) if found or wrongs else _of_nobody(workdir, read)


def _read(path: Path) -> tuple[Told | None, tuple[Wrong, ...]]:
    """What manifest.json tells, and what is wrong with the file; neither where there is none."""
    wrongs = []
    try:
        data = read_file(path)
        if not is_as_written(data):
            wrongs.append(_altered("it does not have the digest at its end"))
        return told.read(data), tuple(wrongs)
    except FileNotFoundError:
        return None, ()
    except OSError as error:
        return None, (_altered(f"it cannot be read: {error.strerror}"),)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    except WireError as error:
        return None, (_altered(f"it is not as it was written: {error}"),)


def _altered(message: str) -> Wrong:
    return Wrong(fault=Fault.ALTERED, path=PROVENANCE, message=message)


def _of_nobody(workdir: Workdir, read: Callable[[Path], Experiment]) -> Expectation:
    """Captain's, or a killed quickrun's: what can be told without digests; UsageError where there is nothing at all."""
    experiment = read(workdir.root)
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


def _of_manifest(found: Told | None, wrongs: tuple[Wrong, ...]) -> Expectation:
    if found is None:
        return Expectation(wrongs=wrongs)
    trials = tuple(map(_expected_of, found.trials, found.members["trials"]))
    wrongs = (*wrongs, *_campaign_wrongs(found, None), *map(_altered, facts.twice(found)))
    sealed = found.others is not None and found.campaign.state != CampaignState.OPEN.value
    return Expectation(trials=trials, expected=len(trials), wrongs=wrongs, others=found.others or {}, sealed=sealed)


def _expected_of(trial: ToldTrial, line: Mapping[str, Any]) -> Expected:
    return Expected(
        job=trial.job,
        done=trial.state is JobState.DONE,
        why=f"{trial.reason or trial.state.value}: {trial.message or 'it is not complete'}",
        manifests={PROVENANCE: trial.manifest_sha256} if trial.manifest_sha256 else {},
        execution=trial.execution or "",
        execution_sha256=trial.execution_sha256,
        files=trial.files,
        line=line,
    )


def _campaign_wrongs(found: Told, campaign: CampaignEntry | None) -> Iterator[Wrong]:
    said = found.campaign
    text = said.text or ""
    if file_digest(text) != said.sha256:
        yield _altered("the campaign file in it does not have its digest")
    if campaign and not _is_of(said.id, text, campaign):
        yield _altered("it is of another campaign than the ledger")


def _is_of(config_id: str | None, text: str, campaign: CampaignEntry) -> bool:
    """A campaign that was extended just now may still have the manifest.json of its file before."""
    known = {edition.sha256 for edition in campaign.editions}
    return config_id == campaign.config_id and (text == campaign.text or file_digest(text) in known)


def _of_ledger(place: _Place, campaign: CampaignEntry, tells: Told | None, found: Expectation | None) -> Expectation:
    """The ledger is the truth; what manifest.json says of a trial that has its result is to agree with it."""
    over = campaign.ended_at is not None
    by_key = {trial_key(expected.job): expected for expected in found.trials} if found else {}
    wrongs = list(found.wrongs) if found else []
    if tells:
        wrongs += (wrong for wrong in _campaign_wrongs(tells, campaign) if wrong not in wrongs)
    if tells and over:
        wrongs += _disagreements(place.entries, by_key)
        wrongs += _of_campaign(place, tells)
        wrongs += map(_altered, place.of_undone(by_key))
    elif not found and over:
        message = "it tells where the results come from: `magma-remote collect` writes it anew"
        wrongs.append(Wrong(fault=Fault.MISSING, path=PROVENANCE, message=message))
    trials = tuple(place.joined(entry, by_key.get(trial_key(entry.job)), over=over) for entry in place.entries)
    return Expectation(
        trials=trials,
        expected=len(trials),
        wrongs=tuple(wrongs),
        notes=() if over else ("the campaign has not ended: trials that still run count as missing",),
        others=found.others if found else {},
        sealed=over and found is not None and found.sealed,
    )


def _of_campaign(place: _Place, tells: Told) -> list[Wrong]:
    try:
        wrongs = list(map(_altered, facts.of_campaign(tells, place.workdir, place.ledger, place.settings)))
        damaged = (place.workdir.root / ORIGIN).exists() and not is_noted(place.workdir)
    except OSError as error:
        return [unreadable(ORIGIN, error)]
    message = "it is not as this program writes it; manifest.json has what it told"
    return [*wrongs, *([Wrong(fault=Fault.ALTERED, path=ORIGIN, message=message)] if damaged else ())]


class _Place:
    """A WORKDIR with its ledger, read once; `settings` are its campaign file's."""

    def __init__(self, workdir: Workdir, ledger: Ledger, settings: Mapping[str, object]) -> None:
        self.workdir = workdir
        self.ledger = ledger
        self.settings = settings
        self.entries = list(ledger.jobs())
        self._runs = {run.run: run for run in ledger.runs()}
        self._names = worker_names(ledger)

    def _told(self, entry: JobEntry) -> dict[str, Any]:
        return told_of(entry, self._runs.get(entry.run or ""), self._names)

    def of_undone(self, by_manifest: Mapping[str, Expected]) -> Iterator[str]:
        """What manifest.json tells otherwise of trials without a result."""
        for entry in self.entries:
            known = by_manifest.get(trial_key(entry.job))
            if known and known.line and entry.state is not JobState.DONE:
                yield from facts.of_undone(self.workdir, entry.job, known.line, self._told(entry))

    def joined(self, entry: JobEntry, by_manifest: Expected | None, *, over: bool) -> Expected:
        """What both say of a trial."""
        run, done = self._runs.get(entry.run or ""), entry.state is JobState.DONE
        why = f"{entry.reason.value if entry.reason else entry.state.value}: {entry.message or 'it is not complete'}"
        by_ledger = {_LEDGER: run.manifest} if run and run.manifest else {}
        expected = Expected(job=entry.job, done=done, why=why, manifests=by_ledger, execution=entry.run or "")
        if not (by_manifest and by_manifest.done and by_manifest.line):
            return expected
        if not over and by_manifest.execution not in {"", entry.run}:  # it tells of a result that was given up since
            return expected
        told = self._told(entry)
        if not over:  # a worker may have another name by now
            told["worker_name"] = by_manifest.line.get("worker_name")
        return replace(
            expected,
            manifests={**by_ledger, **by_manifest.manifests},
            execution_sha256=by_manifest.execution_sha256,
            files=by_manifest.files,
            line=by_manifest.line,
            told=told,
        )


def _disagreements(entries: list[JobEntry], by_manifest: Mapping[str, Expected]) -> Iterator[Wrong]:
    """Of a campaign that is over manifest.json tells of every job as the ledger does."""
    for entry in entries:
        key = trial_key(entry.job)
        told = by_manifest.get(key)
        if told is None or told.job != entry.job or told.done != (entry.state is JobState.DONE):
            yield _altered(f"it does not tell of {key} as the ledger does")
    extra = by_manifest.keys() - {trial_key(entry.job) for entry in entries}
    for key in sorted(extra):
        yield _altered(f"it tells of {key}, of which the ledger does not")
