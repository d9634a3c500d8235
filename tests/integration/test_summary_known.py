"""`magma-remote summary` on WORKDIRs that know what was asked for: by their ledger, or by manifest.json."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.cli.reading import load_experiment
from magma_remote.runtime.files import remove_tree
from tests.support.commands import call
from tests.support.workdirs.dispatched import CAMPAIGN, DONE, dispatched, jobs
from tests.support.workdirs.finished import COMMIT, JOBS, TEXT, proven
from tests.support.workdirs.merged import FIRST, Merged

if TYPE_CHECKING:
    from pathlib import Path

    from magma_remote.model.experiment import Experiment
    from tests.support.workdirs.finished import Proven


def test_a_dispatched_workdir(tmp_path: Path) -> None:
    with closing(dispatched(tmp_path)):
        merged = Merged(tmp_path / "workdir")
        for entry in jobs()[1:DONE]:
            job = entry.job
            merged.add((job.fuzzer, job.target, job.program, job.repeat))
        experiment = load_experiment(merged.root)
    assert (experiment.expected, len(experiment.trials), len(experiment.missing)) == (200, DONE - 1, 201 - DONE)
    assert (experiment.timeout, experiment.poll, experiment.repeat) == (3600.0, 5, 25)
    assert experiment.settings == {"REPEAT": 25, "FUZZERS": ["aflplusplus", "libfuzzer"], "TIMEOUT": "1h"}
    assert "TIMEOUT" in CAMPAIGN
    reasons = [one.reason for one in experiment.missing]
    assert {reason: reasons.count(reason) for reason in reasons} == {"gone": 1, "unfinished": 73, "ended_early": 7}
    assert all("the last stamp is 20 s of 3600 s" in trial.problems[0] for trial in experiment.trials)


def _left_out(made: Proven, *, ledger: bool) -> Experiment:
    """As by the ledger, or by manifest.json alone."""
    if not ledger:
        for path in made.workdir.root.glob("ledger.sqlite*"):
            path.unlink()
    return load_experiment(made.workdir.root)


@pytest.mark.parametrize("ledger", [True, False], ids=["ledger", "manifest.json"])
def test_an_entry_of_a_trial_that_is_dead_is_no_result(tmp_path: Path, ledger: bool) -> None:
    made = proven(tmp_path)
    with closing(made.ledger):
        made.finish()
        shutil.copytree(made.workdir.entry(JOBS[0]), made.workdir.entry(JOBS[3]), symlinks=True)
        found = _left_out(made, ledger=ledger)
    assert [trial.run for trial in found.trials] == [0, 1, 2]
    (missing,) = found.missing
    assert (missing.run, missing.reason) == (3, "ended_early")
    assert missing.message == (
        "the fuzzer ended after 2.1 s of 20 s; an entry of it stands in ar/ nevertheless: it was not read, and is in "
        "no figure"
    )


@pytest.mark.parametrize("ledger", [True, False], ids=["ledger", "manifest.json"])
@pytest.mark.parametrize(
    ("link", "target", "words"),
    [
        pytest.param("ar/aflx", "afl", "ar/aflx/libpng/readpng/0: its entry is that of afl/libpng/readpng/0", id="up"),
        pytest.param("ar/afl/libpng/readpng/7", "0", "readpng/7: its entry is that of afl/libpng/readpng/0", id="run"),
        pytest.param("ar/afl/libpng/readpng/7", "../../../../x", "readpng/7 is a trial that the campaign did", id="x"),
    ],
)
def test_a_trial_that_nobody_asked_for_is_left_out(
    tmp_path: Path,
    link: str,
    target: str,
    words: str,
    ledger: bool,
) -> None:
    made = proven(tmp_path)
    with closing(made.ledger):
        made.finish()
        shutil.copytree(made.workdir.entry(JOBS[0]), made.workdir.root / "x", symlinks=True)
        (made.workdir.root / link).symlink_to(target)
        found = _left_out(made, ledger=ledger)
    assert [(trial.fuzzer, trial.run) for trial in found.trials] == [("afl", 0), ("afl", 1), ("afl", 2)]
    assert words in found.problems[0]
    assert all(problem.endswith("it was not read, and is in no figure") for problem in found.problems)


def test_a_trial_that_is_a_link_to_another_is_missing(tmp_path: Path) -> None:
    made = proven(tmp_path)
    with closing(made.ledger):
        made.finish()
        remove_tree(made.workdir.entry(JOBS[1]))
        made.workdir.entry(JOBS[1]).symlink_to("0")
        found = load_experiment(made.workdir.root)
    assert [trial.run for trial in found.trials] == [0, 2]
    assert [(one.run, one.reason) for one in found.missing] == [(1, "gone"), (3, "ended_early")]
    assert "its entry is that of afl/libpng/readpng/0 by a link" in found.missing[0].message


def test_what_a_killed_quickrun_did_after_its_manifest_json_counts(merged: Merged) -> None:
    merged.add()
    told = {"fuzzer": "afl", "target": "libpng", "program": "readpng", "run": 0, "state": "dead"}
    campaign: dict[str, Any] = {"settings": {}, "id": "x", "source": "y", "timeout": None}
    trials = [{**told, "reason": "oom", "message": "no memory"}]
    known = {"version": 1, "made_by": "magma-remote quickrun", "campaign": campaign, "trials": trials}
    (merged.root / "manifest.json").write_text(json.dumps(known))
    (merged.root / "campaign.json").write_text(json.dumps({"version": 1, "id": "x", "trials": [list(FIRST)]}))
    assert [one.reason for one in load_experiment(merged.root).missing] == ["oom"]
    job = {"fuzzer": "afl", "target": "libpng", "program": "readpng", "repeat": 0}
    merged.workdir.records.mkdir()
    merged.workdir.records.joinpath("afl,libpng,readpng,0.json").write_text(json.dumps({"job": job, "reason": None}))
    found = load_experiment(merged.root)
    assert (len(found.trials), found.missing) == (1, ())


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        pytest.param("manifest.json", 2, "manifest.json cannot be read (it is no file)", id="manifest.json"),
        pytest.param("ledger.sqlite", 1, "what stands there is no file, and no ledger", id="ledger"),
    ],
)
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str, code: int, says: str) -> None:
    made = proven(tmp_path)
    with closing(made.ledger):
        made.finish()
    (made.workdir.root / name).unlink()
    os.mkfifo(made.workdir.root / name)
    assert says in str(call("summary", str(made.workdir.root), code=code).exception)


def test_without_the_ledger_manifest_json_tells(tmp_path: Path) -> None:
    made = proven(tmp_path)
    with closing(made.ledger):
        made.finish()
        by_ledger = load_experiment(made.workdir.root)
    for path in made.workdir.root.glob("ledger.sqlite*"):
        path.unlink()
    (made.workdir.entry(JOBS[0]) / "monitor/5").unlink()
    found = load_experiment(made.workdir.root)
    assert [(one.run, one.reason, one.message) for one in found.missing] == [
        (3, "ended_early", "the fuzzer ended after 2.1 s of 20 s")
    ]
    assert (found.missing, found.settings, found.facts) == (by_ledger.missing, by_ledger.settings, by_ledger.facts)
    assert (found.expected, found.timeout, found.poll, found.repeat) == (4, 20.0, 5, 4)
    magma = found.facts["magma"]
    assert isinstance(magma, dict)
    assert magma["commit"] == COMMIT
    assert found.facts["SHA-256 of the file"] == hashlib.sha256(TEXT.encode()).hexdigest()
    assert found.facts["earlier editions of it"] == []
    assert [trial.polls for trial in found.trials] == [0, 1, 1]
