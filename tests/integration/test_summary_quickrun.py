"""What is read of a quickrun's WORKDIR, however it ended."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

from magma_remote.cli.reading import load_experiment
from tests.support.workdirs.finished import JOBS, proven
from tests.support.workdirs.merged import FIRST, Merged, Place

if TYPE_CHECKING:
    from pathlib import Path


def _place(run: int) -> Place:
    return (*FIRST[:3], run)


def _record(merged: Merged, place: Place, reason: str | None, warnings: tuple[str, ...] = ()) -> None:
    merged.workdir.records.mkdir(exist_ok=True)
    job = dict(zip(("fuzzer", "target", "program", "repeat"), place, strict=True))
    facts = {"job": job, "reason": reason, "message": "the fuzzer died" if reason else "", "warnings": warnings}
    (merged.workdir.records / f"{','.join(map(str, place))}.json").write_text(json.dumps(facts))


def test_a_quickruns_workdir(merged: Merged) -> None:
    merged.workdir.campaign.write_text(
        json.dumps({"version": 1, "id": "c0ffee", "settings": {"TIMEOUT": 20.0, "POLL": 5}})
    )
    merged.add()
    _record(merged, FIRST, None, ("the machine's clock was set by +7 s", "no canary was ever reached"))
    _record(merged, _place(1), "ended_early")
    _record(merged, _place(3), None)
    experiment = load_experiment(merged.root)
    assert [(one.run, one.reason, one.message) for one in experiment.missing] == [
        (1, "ended_early", "the fuzzer died"),
        (2, "absent", "it is not in ar/, and there are trials with a larger RUN"),
        (3, "gone", "it was complete, and its entry in ar/ is not there any more"),
    ]
    assert (experiment.timeout, experiment.poll, experiment.source) == (20.0, 5, "magma-remote quickrun")
    assert experiment.trials[0].problems == ("the machine's clock was set by +7 s",)


def _asks(merged: Merged, *runs: int) -> None:
    known = {"version": 1, "id": "c0ffee", "settings": {"TIMEOUT": 20.0, "POLL": 5}}
    merged.workdir.campaign.write_text(json.dumps({**known, "trials": [[*FIRST[:3], run] for run in runs]}))


def test_what_a_killed_quickrun_did_not_come_to_is_missing(merged: Merged) -> None:
    _asks(merged, 0, 1, 2)
    merged.add()
    _record(merged, _place(1), "ended_early")
    experiment = load_experiment(merged.root)
    assert [(one.run, one.reason) for one in experiment.missing] == [(1, "ended_early"), (2, "never_ran")]
    assert (experiment.expected, experiment.repeat) == (3, 3)


def test_what_a_quickrun_was_asked_for_since_its_manifest_is_missing(tmp_path: Path) -> None:
    made = proven(tmp_path, jobs=JOBS[:3])
    with closing(made.ledger):
        made.finish()
    for path in made.workdir.root.glob("ledger.sqlite*"):
        path.unlink()
    merged = Merged(made.workdir.root)
    _asks(merged, *range(5))
    _record(merged, _place(3), "ended_early")
    experiment = load_experiment(merged.root)
    assert [(one.run, one.reason) for one in experiment.missing] == [(3, "ended_early"), (4, "never_ran")]
    assert (experiment.expected, experiment.repeat) == (5, 5)
