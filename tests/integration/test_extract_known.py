"""What a WORKDIR tells of how its trials ran: by its records, its ledger and its manifest.json."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.errors import UsageError
from magma_remote.model.campaign import CanaryMode
from magma_remote.model.entries import PinEntry
from magma_remote.model.jobs import Job
from magma_remote.model.layout import Workdir
from magma_remote.model.pinned import PinnedImage
from magma_remote.runtime.extracting.known import Known, background
from magma_remote.runtime.workdir.state import open_campaign, recorded_campaign
from tests.support.memory.quickrun import a_campaign
from tests.support.workdirs.finished import JOBS, Proven, proven

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from magma_remote.model.experiment import Trial

FIRST: Trial = ("afl", "libpng", "readpng", 0)
PIN = PinnedImage(fuzzer="afl", target="libpng", manifest=f"sha256:{'ab' * 32}")


@pytest.fixture
def dispatched(tmp_path: Path) -> Iterator[Proven]:
    """Its images are pinned, and it has ended."""
    made = proven(tmp_path)
    made.ledger.save_pins([PinEntry(image=PIN, recipe="cd" * 32, uid=1000, gid=1000)])
    made.finish()
    yield made
    made.ledger.close()


def test_a_ledger_knows_jobs_and_pins(dispatched: Proven) -> None:
    known = background(dispatched.workdir, dispatched.ledger)
    assert set(known.asked.trials or ()) == {(job.fuzzer, job.target, job.program, job.repeat) for job in JOBS}
    assert known.pins == {("afl", "libpng"): PIN}
    found = known.trials[FIRST]
    assert (found.job, bool(found.recipe)) == (JOBS[0], True)


def test_manifest_json_does_where_the_ledger_is_gone(dispatched: Proven) -> None:
    known = background(dispatched.workdir, None)
    assert known.asked.trials == background(dispatched.workdir, dispatched.ledger).asked.trials
    assert known.pins == {("afl", "libpng"): PIN}
    assert known.trials[FIRST].job == JOBS[0]


def test_a_ledger_without_a_campaign_says_nothing_of_what_was_asked_for(tmp_path: Path) -> None:
    with closing(SqliteLedger(tmp_path / "ledger.sqlite")) as ledger:
        assert background(Workdir(tmp_path), ledger).asked.trials is None


def test_nobody_knows_anything_of_captains(tmp_path: Path) -> None:
    known = background(Workdir(tmp_path), None)
    assert (known.asked.trials, known.trials, known.pins) == (None, {}, {})
    assert known.of(Workdir(tmp_path), FIRST) == Known()


JOB = {"repeat": 0, "fuzzer": "afl", "target": "libpng", "program": "readpng", "args": "-x", "fuzzargs": "-Q"}


@pytest.mark.parametrize(
    ("record", "known"),
    [
        pytest.param({"job": JOB, "digest": "ab", "image": "i"}, (True, "ab", "i"), id="whole"),
        pytest.param({"job": JOB}, (True, "", ""), id="no-image"),
        pytest.param({"job": JOB, "digest": "a/../b", "image": ["i"]}, (True, "", ""), id="odd-image"),
        pytest.param({"job": JOB | {"program": "other"}, "digest": "ab"}, (False, "", ""), id="another-trial"),
        pytest.param({"job": JOB | {"repeat": "0"}, "digest": "ab"}, (False, "", ""), id="types"),
        pytest.param({"job": JOB | {"args": "a\nb"}, "digest": "ab"}, (False, "", ""), id="two-lines"),
        pytest.param({"job": JOB | {"args": 3}}, (False, "", ""), id="no-text"),
        pytest.param({"digest": "ab"}, (False, "", ""), id="no-job"),
        pytest.param([1], (False, "", ""), id="no-object"),
    ],
)
def test_a_record_is_looked_at_as_anything_from_elsewhere(tmp_path: Path, record: Any, known: Any) -> None:
    workdir = Workdir(tmp_path)
    workdir.records.mkdir()
    (workdir.records / "afl,libpng,readpng,0.json").write_text(json.dumps(record))
    found = background(workdir, None).of(workdir, FIRST)
    assert (found.job is not None, found.recipe, found.image) == known


def test_what_one_does_not_know_another_may() -> None:
    job = Job(repeat=0, fuzzer="afl", target="libpng", program="readpng")
    other = Known(job=job, recipe="b", image="i")
    assert Known(recipe="a").or_else(other) == replace(other, recipe="a")


def test_quickruns_settings_are_read_back(tmp_path: Path) -> None:
    workdir = Workdir(tmp_path)
    assert recorded_campaign(workdir) is None
    open_campaign(workdir, a_campaign(canary_mode=CanaryMode.FIXES, isan=True, poll=7))
    found = recorded_campaign(workdir)
    assert found
    assert (found.canary_mode, found.isan, found.harden, found.poll) == (CanaryMode.FIXES, True, False, 7)
    assert found.timeout.seconds == 60
    workdir.campaign.write_text(json.dumps({"settings": {"TIMEOUT": 60}}))
    with pytest.raises(UsageError, match="not as this program writes it"):
        recorded_campaign(workdir)
