"""A whole campaign through the fakes: what runs, what fails, and that nothing is left in either case."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.memory_container import Hang, Script
from magma_remote.errors import BuildError, EngineError
from magma_remote.model.container import WORKDIR_LABEL, ContainerSpec
from magma_remote.model.jobs import Job
from magma_remote.model.outcome import Reason
from magma_remote.model.units import Duration
from magma_remote.runtime.trial import trial

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.memory.quickrun import Lab


def job(repeat: int = 0, fuzzer: str = "afl", **more: str) -> Job:
    return Job(repeat=repeat, fuzzer=fuzzer, target="libpng", program="readpng", **more)


def test_all_trials_complete(lab: Lab) -> None:
    lab.run()
    assert lab.reasons() == [None, None, None]
    assert len(lab.runner.builds) == 1
    for one in lab.jobs:
        with tarfile.open(lab.workdir.entry(one) / "ball.tar") as tar:
            assert "./monitor/5" in tar.getnames()
        assert "Campaign launched at" in lab.workdir.container_log(one).read_text()
        assert lab.workdir.record(one).is_file()
    assert lab.results[0].bugs.reached == {"A", "B"}
    assert lab.results[0].bugs.triggered == {"A"}


def test_what_the_containers_get(lab: Lab) -> None:
    lab.jobs = (Job(repeat=0, fuzzer="afl", target="libpng", program="readpng", args="-M @@", fuzzargs="-x a,b"),)
    lab.settings(poll=7)
    lab.run()
    (spec,) = lab.runner.created
    assert dict(spec.environment) == {
        "PROGRAM": "readpng",
        "ARGS": "-M @@",
        "FUZZARGS": "-x a,b",
        "POLL": "7",
        "TIMEOUT": "1m",
        "AFFINITY": "0",
    }
    assert spec.image == lab.results[0].image
    assert spec.labels[WORKDIR_LABEL] == str(lab.workdir.root)
    assert spec.command is None


def test_no_archive_leaves_the_files_as_they_are(lab: Lab) -> None:
    lab.settings(no_archive=True)
    lab.run()
    assert (lab.workdir.entry(lab.jobs[0]) / "monitor/5").is_file()


def test_the_cache_on_disk_is_in_the_workdir(lab: Lab) -> None:
    lab.settings(cache_on_disk=True)
    lab.run()
    assert lab.runner.created[0].shared.is_relative_to(lab.workdir.root)
    assert not lab.workdir.disk_cache.exists()


@pytest.mark.parametrize(
    ("script", "reason", "said"),
    [
        pytest.param(Script(ran=3.0), Reason.ENDED_EARLY, "after 3.0 s of 1 min", id="ended-early"),
        pytest.param(Script(pruned=None), Reason.NOT_LAUNCHED, "never launched", id="no-seed-left"),
        pytest.param(Script(dies=True), Reason.ENDED_EARLY, "died", id="died"),
        pytest.param(Script(files={}), Reason.NO_MONITOR, "wrote nothing", id="no-monitor"),
    ],
)
def test_a_trial_that_did_not_really_run_fails_alone(lab: Lab, script: Script, reason: Reason, said: str) -> None:
    lab.scripts[lab.jobs[1]] = script
    lab.run()
    assert lab.reasons() == [None, reason, None]
    assert said in lab.results[1].message
    assert lab.workdir.container_log(lab.jobs[1]).is_file()


def test_a_failure_has_the_tail_of_its_log(lab: Lab) -> None:
    lab.script = Script(says=("PROGRAM ABORT: no such option -Q",), pruned=None)
    lab.run()
    assert lab.results[0].tail == ("PROGRAM ABORT: no such option -Q",)


@pytest.mark.parametrize("method", ["create", "start", "follow", "wait", "lines"])
def test_an_engine_that_refuses_one_trial_fails_that_one(lab: Lab, method: str) -> None:
    lab.jobs = lab.jobs[:2]
    lab.scripts[lab.jobs[0]] = Script(at={method: _once(EngineError(f"no {method} today"))})
    lab.run()
    assert lab.reasons() == [Reason.ENGINE, None]
    assert f"no {method} today" in lab.results[0].message


def test_a_container_that_cannot_be_removed_costs_no_result(lab: Lab) -> None:
    lab.scripts[lab.jobs[0]] = Script(at={"remove": _once(EngineError("no removal today"))})
    lab.run_unchecked()
    assert lab.reasons() == [None] * 3
    assert any("no removal today" in warning for warning in lab.results[0].warnings)
    assert lab.workdir.entry(lab.jobs[0]).is_dir()
    lab.run()  # the next start removes it


def _once(error: BaseException) -> Callable[[], None]:
    errors = iter([error])

    def refuse() -> None:
        for one in errors:
            raise one

    return refuse


def test_an_image_that_does_not_build_fails_only_its_trials(lab: Lab) -> None:
    lab.jobs = (job(0), job(0, "libfuzzer"), job(1, "libfuzzer"))
    lab.runner.build_failures = [BuildError("no network", log_tail=("apt: 404",)) for _ in range(2)]
    lab.run()
    assert lab.reasons() == [Reason.IMAGE, None, None]
    assert lab.results[0].tail == ("apt: 404",)
    assert "192.0.2.7" in lab.results[0].message


def test_every_image_fails(lab: Lab) -> None:
    lab.runner.build_failures = [BuildError("no network") for _ in range(2)]
    lab.run()
    assert lab.reasons() == [Reason.IMAGE] * 3
    assert not lab.runner.created


@pytest.mark.parametrize("hang", [Hang.FUZZING, Hang.PRUNING])
def test_the_engine_goes_away_in_the_middle(lab: Lab, hang: Hang) -> None:
    lab.jobs = tuple(job(repeat) for repeat in range(5))
    lab.script = Script(hangs=hang)
    lab.scripts[lab.jobs[1]] = Script(at={"wait": lab.runner.go})
    lab.scripts[lab.jobs[0]] = Script()
    lab.run()
    assert set(lab.reasons()[1:]) <= {Reason.ENGINE, Reason.INTERRUPTED}  # who is first to notice stops the others
    assert lab.reasons()[-1] is Reason.ENGINE
    assert lab.results[-1].message == "not started: the engine is gone"


def test_wide_trials_get_whole_sets_and_share_no_cpu(lab: Lab) -> None:
    lab.sets = ((0,), (1,), (2,))
    lab.jobs = (job(0), job(0, "libfuzzer"), job(1, "libfuzzer"), job(1), job(2))
    lab.settings(fuzzer_campaign_workers={"libfuzzer": 2})
    lab.run()
    assert lab.reasons() == [None] * 5
    assert [len(result.cpus) for result in lab.results] == [1, 2, 2, 1, 1]


def test_trials_start_in_their_order(lab: Lab) -> None:
    lab.run()
    assert [one for one, _ in lab.reporter.starts] == list(lab.jobs)


def test_an_unexpected_error_costs_its_own_trial_alone(lab: Lab) -> None:
    lab.scripts[lab.jobs[1]] = Script(at={"wait": _once(RuntimeError("a defect of ours"))})
    lab.run()
    assert lab.reasons() == [None, Reason.INTERNAL, None]
    assert "a defect of ours" in lab.results[1].message


def test_what_no_trial_can_cause_ends_every_container(lab: Lab) -> None:
    lab.script = Script(hangs=Hang.FUZZING)
    lab.scripts[lab.jobs[1]] = Script(at={"wait": _once(SystemExit(3))})
    with pytest.raises(SystemExit):
        lab.run()
    lab.assert_nothing_is_left()
    assert not list(lab.entries())
    assert not list(lab.shm.glob("*/*"))


@pytest.mark.parametrize("hang", [Hang.PRUNING, Hang.FUZZING])
def test_a_trial_beyond_its_limit_is_ended(lab: Lab, hang: Hang) -> None:
    lab.settings(timeout=Duration.parse("0.02s"))
    lab.scripts[lab.jobs[0]] = Script(hangs=hang)
    results = lab.pool(launch_limit=0.05, overrun=0.03).run(lab.images())
    expected = Reason.NOT_LAUNCHED if hang is Hang.PRUNING else Reason.OVERRAN
    assert [results[one].reason for one in lab.jobs] == [expected, None, None]
    lab.assert_nothing_is_left()


def test_a_container_that_does_not_end_after_its_last_line_is_complete(lab: Lab) -> None:
    lab.settings(timeout=Duration.parse("0.02s"))
    lab.scripts[lab.jobs[0]] = Script(hangs=Hang.ENDING)
    results = lab.pool(overrun=0.03).run(lab.images())
    assert results[lab.jobs[0]].complete
    lab.assert_nothing_is_left()


def test_shared_is_open_to_the_containers_user(lab: Lab) -> None:
    seen: list[int] = []

    def look(spec: ContainerSpec) -> Script:
        seen.append(spec.shared.stat().st_mode & 0o777)
        return Script()

    lab.runner.script = look
    lab.run()
    assert seen == [0o777] * 3


@pytest.mark.parametrize("moment", ["create", "start", "follow", "lines", "remove"])
def test_a_clock_that_is_set_beside_the_fuzzing_changes_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    clock = [0.0]
    monkeypatch.setattr(trial, "_clock", lambda: clock[0])
    lab.script = Script(at={moment: lambda: clock.__setitem__(0, clock[0] + 3600)})
    lab.run()
    assert lab.reasons() == [None] * 3
    assert not any("clock" in warning for result in lab.results for warning in result.warnings)


def test_a_clock_that_is_set_while_fuzzing_is_taken_off(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(trial, "_clock", lambda: clock[0])
    lab.jobs = lab.jobs[:1]
    lab.script = Script(at={"wait": lambda: clock.__setitem__(0, clock[0] + 3600)})
    lab.run()
    assert lab.reasons() == [Reason.ENDED_EARLY]
