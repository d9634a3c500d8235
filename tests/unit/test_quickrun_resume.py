"""The same command again: only what is missing runs, and only where it can be compared."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.memory_container import Script
from magma_remote.errors import BuildError, StorageError, UsageError
from magma_remote.model.container import CAMPAIGN_LABEL, CPUS_LABEL, JOB_LABEL, WORKDIR_LABEL, ContainerSpec
from magma_remote.model.outcome import Reason
from magma_remote.model.result import Result
from magma_remote.model.units import Duration
from magma_remote.runtime import quickrun
from magma_remote.runtime.trial import archive, trial
from magma_remote.runtime.trial.cache import COMPLETE, Cache

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from magma_remote.model.jobs import Job
    from magma_remote.model.layout import Workdir
    from tests.support.memory.quickrun import Lab


def test_nothing_is_left_to_run(lab: Lab) -> None:
    first = lab.run()
    lab.runner.created.clear()
    second = lab.run()
    assert not lab.runner.created
    assert len(lab.runner.builds) == 1
    assert [result.bugs for result in second] == [result.bugs for result in first]
    assert lab.reporter.plans[-1]["kept"] == 3


def test_only_failed_trials_run_again(lab: Lab) -> None:
    lab.scripts[lab.jobs[1]] = Script(ran=1.0)
    lab.run()
    lab.scripts.clear()
    lab.runner.created.clear()
    lab.run()
    assert [spec.labels[JOB_LABEL] for spec in lab.runner.created] == [str(lab.jobs[1])]
    assert lab.reasons() == [None] * 3


def test_more_repeats_add_to_what_is_there(lab: Lab) -> None:
    every, lab.jobs = lab.jobs, lab.jobs[:1]
    lab.run()
    lab.jobs = every
    lab.run()
    assert len(lab.runner.created) == 3


def test_fewer_repeats_are_refused(lab: Lab) -> None:
    lab.run()
    lab.jobs = lab.jobs[:2]
    with pytest.raises(UsageError, match="1 trials that this campaign file does not ask for"):
        lab.run()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({"timeout": Duration.parse("2m")}, "TIMEOUT was 60 s, is 120 s", id="timeout"),
        pytest.param({"isan": True}, "ISAN was False, is True", id="isan"),
        pytest.param({"fuzzer_campaign_workers": {"afl": 2}}, "FUZZER_CAMPAIGN_WORKERS", id="cpus"),
    ],
)
def test_other_settings_are_refused(lab: Lab, settings: Mapping[str, object], said: str) -> None:
    lab.run()
    lab.settings(**settings)
    with pytest.raises(UsageError, match=said):
        lab.run()


def test_other_arguments_are_refused(lab: Lab) -> None:
    lab.run()
    lab.jobs = tuple(replace(job, fuzzargs="-x other.dict") for job in lab.jobs)
    with pytest.raises(UsageError, match="FUZZARGS"):
        lab.run()


@pytest.mark.parametrize("file", ["fuzzers/afl/build.sh", "targets/libpng/configrc", "docker/Dockerfile"])
def test_trials_of_a_stale_image_are_refused(lab: Lab, file: str) -> None:
    lab.run()
    with (lab.root / file).open("a") as tail:
        tail.write("# changed\n")
    with pytest.raises(UsageError, match="afl/libpng"):
        lab.run()
    assert len(lab.runner.builds) == 1


def test_what_no_image_is_made_from_may_change(lab: Lab) -> None:
    lab.run()
    (lab.root / "README.md").write_text("news\n")
    (lab.root / "fuzzers/libfuzzer/build.sh").write_text("exit 1\n")
    lab.run()
    assert lab.reasons() == [None] * 3


def test_a_changed_tree_is_built_anew_where_nothing_ran_yet(lab: Lab) -> None:
    lab.script = Script(ran=1.0)
    lab.run()
    (lab.root / "magma/run.sh").write_text("# other\n")
    lab.run()
    first, second = (recipe.digest for recipe, _, _ in lab.runner.builds)
    assert first != second
    assert {result.digest for result in lab.results} == {second}


def test_a_failed_build_is_tried_at_the_next_start(lab: Lab) -> None:
    lab.runner.build_failures = [BuildError("no network") for _ in range(2)]
    lab.run()
    lab.run()
    assert lab.reasons() == [None] * 3


def _full_disk(shared: Path, workdir: Workdir, job: Job, *, plain: bool) -> None:
    raise StorageError(f"{workdir.entry(job)} could not be written: no space ({shared}, {plain})")


def test_a_full_disk_keeps_shared_and_the_next_start_archives_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "publish", _full_disk)
    lab.run()
    assert lab.reasons() == [Reason.ARCHIVE] * 3
    assert "kept in" in lab.results[0].message
    cache = Cache.of(lab.campaign, lab.workdir)
    assert (cache.trial(lab.jobs[0]) / "shared/monitor/5").is_file()
    lab.runner.created.clear()
    monkeypatch.setattr(trial, "publish", archive.publish)
    lab.run()
    assert lab.reasons() == [None] * 3
    assert not lab.runner.created
    assert lab.results[0].bugs.triggered == {"A"}
    assert sum("earlier run had completed" in note for note in lab.reporter.notes) == 3


def test_a_disk_that_is_still_full_is_a_message(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "publish", _full_disk)
    lab.run()
    monkeypatch.setattr(quickrun, "publish", _full_disk)
    lab.run()
    assert lab.reasons() == [Reason.ARCHIVE] * 3
    assert all("no space" in result.message for result in lab.results)
    assert (Cache.of(lab.campaign, lab.workdir).trial(lab.jobs[0]) / COMPLETE).is_file()


def test_a_record_that_cannot_be_copied_is_a_message(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "publish", _full_disk)
    lab.run()
    lab.workdir.record(lab.jobs[0]).unlink(missing_ok=True)
    lab.workdir.record(lab.jobs[0]).mkdir()
    lab.run()
    assert lab.reasons() == [Reason.ARCHIVE, None, None]
    assert lab.workdir.record(lab.jobs[0]).name in lab.results[0].message


def test_a_run_that_died_after_its_archive_leaves_no_second_one(lab: Lab) -> None:
    lab.run()
    folder = Cache.of(lab.campaign, lab.workdir).trial(lab.jobs[0])
    (folder / "shared").mkdir(parents=True)
    (folder / COMPLETE).write_text(json.dumps(lab.results[0].to_record()))
    lab.run()
    assert lab.reasons() == [None] * 3
    assert not folder.exists()


def test_what_a_killed_run_left_is_cleared(lab: Lab) -> None:
    lab.run()
    shutil.rmtree(lab.workdir.ar)
    half = lab.workdir.staging / "afl_libpng_readpng_0"
    half.mkdir()
    (half / "ball.tar").write_bytes(b"half")
    leftover = Cache.of(lab.campaign, lab.workdir).trial(lab.jobs[0]) / "shared"
    leftover.mkdir(parents=True)
    _orphan(lab)
    lab.run()
    assert lab.reasons() == [None] * 3


def _orphan(lab: Lab) -> str:
    labels = {WORKDIR_LABEL: "/anywhere", CAMPAIGN_LABEL: "gone", JOB_LABEL: "0,x,y,z,", CPUS_LABEL: "7"}
    spec = ContainerSpec(image="x", shared=lab.shm, cpus=(7,), environment={"TIMEOUT": "1m"}, labels=labels)
    return lab.runner.create(spec)


@pytest.mark.parametrize("live", [True, False], ids=["live", "dead"])
def test_containers_of_another_run(lab: Lab, *, live: bool) -> None:
    if live:
        lab.guards.held.add(7)
    orphan = _orphan(lab)
    lab.settings(timeout=Duration.parse("1m"))
    quickrun.quickrun(lab.order(), quickrun.Outside(runner=lab.runner, guards=lab.guards, reporter=lab.reporter))
    assert (orphan in lab.runner.containers) == live


def test_a_record_survives_its_round_trip(lab: Lab) -> None:
    for result in lab.run():
        record = json.loads(lab.workdir.record(result.job).read_text())
        assert record["job"]["repeat"] == result.job.repeat
        again = Result.from_record(result.job, record)
        assert (again.bugs, again.digest, again.image, again.warnings) == (
            result.bugs,
            result.digest,
            result.image,
            result.warnings,
        )


def test_an_entry_without_its_record_is_refused(lab: Lab) -> None:
    lab.run()
    lab.workdir.record(lab.jobs[0]).unlink()
    with pytest.raises(UsageError, match="other images"):
        lab.run()
