"""What a worker's station sets up for a campaign, and what makes it unfit."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.adapters.memory_container import Hang, Script
from magma_remote.errors import BuildError, UsageError
from magma_remote.model.outcome import Reason
from magma_remote.ports import Prepared
from magma_remote.runtime import preflight
from tests.support.memory.station import an_assignment, await_news, campaign_text, prepare, prepared, run
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.memory.station import Bench


def test_a_station_is_set_up(bench: Bench) -> None:
    bench.housekeeping = (3,)
    station = bench.station()
    news = prepare(station, bench.broadcast(FUZZERS=["afl", "libfuzzer"], FUZZER_CAMPAIGN_WORKERS={"libfuzzer": 2}))
    assert news == Prepared(
        config_id="c1", sets=((0,), (1,), (2,)), housekeeping=(3,), demands={"afl": 1, "libfuzzer": 2}, cannot={}
    )
    assert bench.guards.held == {0, 1, 2}
    assert [(recipe.fuzzer, cpus) for recipe, cpus, _ in bench.runner.builds] == [
        ("afl", (0, 1, 2)),
        ("libfuzzer", (0, 1, 2)),
    ]
    assert sorted(path.name for path in (bench.workdirs / "log").iterdir()) == [
        "afl_libpng_build_192.0.2.7.log",
        "libfuzzer_libpng_build_192.0.2.7.log",
    ]
    station.release()
    assert not bench.guards.held
    station.release()


def test_a_fuzzer_that_wants_too_much_is_not_built_and_nobody_elses_matter(bench: Bench) -> None:
    bench.housekeeping = (3,)
    settings: dict[str, Any] = {"FUZZERS": ["afl", "libfuzzer"], "FUZZER_CAMPAIGN_WORKERS": {"afl": 4}}
    news = prepare(bench.station(), bench.broadcast(**settings))
    assert news.unfit == ""
    assert list(news.cannot) == ["afl"]
    assert "4 logical CPUs" in news.cannot["afl"]
    assert "hold 3" in news.cannot["afl"]
    assert [recipe.fuzzer for recipe, _, _ in bench.runner.builds] == ["libfuzzer"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({"FUZZERS": ["honggfuzz"]}, ["does not fit", "honggfuzz"], id="fuzzer"),
        pytest.param({"WORKERS": 5}, ["WORKERS", "HOUSEKEEPING_CPUS takes 3"], id="cpus"),
        pytest.param({"WORKER_POOL": [3]}, ["WORKER_POOL", "HOUSEKEEPING_CPUS takes 3"], id="pool"),
        pytest.param({"TMPFS_SIZE": "900t"}, ["TMPFS_SIZE"], id="cache"),
    ],
)
def test_what_cannot_run_here_is_said(bench: Bench, settings: dict[str, Any], words: list[str]) -> None:
    bench.housekeeping = (3,)
    broadcast = replace(bench.broadcast(), text=campaign_text(**settings))
    news = prepare(bench.station(), broadcast)
    assert all(word in news.unfit for word in words), news.unfit
    assert news.sets == ()
    assert not bench.guards.held


def test_only_the_first_problems_are_told(bench: Bench) -> None:
    text = campaign_text(**{f"KEY{number}": 1 for number in range(7)})
    news = prepare(bench.station(), replace(bench.broadcast(), text=text))
    assert news.unfit.count("unknown key") == 3
    assert news.unfit.endswith("and 4 more")


def test_a_tree_that_differs_is_refused(bench: Bench) -> None:
    broadcast = bench.broadcast()
    (bench.root / "fuzzers/afl/build.sh").write_text("# changed\n")
    station = bench.station()
    news = prepare(station, broadcast)
    assert str(bench.root) in news.unfit
    assert "same commit" in news.unfit
    assert not bench.runner.builds
    assert prepare(station, bench.broadcast()).unfit == ""


def test_an_image_that_does_not_build_fails_its_jobs_alone(bench: Bench) -> None:
    failure = BuildError("no build", log_tail=("cc: error",))
    bench.runner.build_failures = [failure, failure]
    station = bench.ready(FUZZERS=["afl", "libfuzzer"])
    failed = run(station, an_assignment(0, fuzzer="afl"))
    assert (failed.reason, failed.tail) == (Reason.IMAGE, ("cc: error",))
    assert "no build" in failed.message
    assert failed.log.endswith("log/afl_libpng_build_192.0.2.7.log")
    assert run(station, an_assignment(1, fuzzer="libfuzzer")).reason is None


def test_cpus_of_another_run_make_it_unfit_until_they_are_free(bench: Bench) -> None:
    bench.guards.held = {1}
    station = bench.station()
    assert "CPUs" in prepare(station, bench.broadcast()).unfit
    assert bench.guards.held == {1}
    bench.guards.held = set()
    assert prepare(station, bench.broadcast()).unfit == ""


def test_an_engine_that_is_gone_makes_it_unfit(bench: Bench) -> None:
    bench.runner.go()
    assert "engine is gone" in prepare(bench.station(), bench.broadcast()).unfit


def test_a_core_pattern_makes_it_unfit(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise UsageError("core_pattern pipes")

    monkeypatch.setattr(preflight, "check_core_pattern", refuse)
    assert prepare(bench.station(), bench.broadcast()).unfit == "core_pattern pipes"


def test_a_defect_is_told_and_not_raised(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "check_core_pattern", lambda: 1 / 0)
    assert "a defect" in prepare(bench.station(), bench.broadcast()).unfit


def test_another_campaign_takes_the_place_of_the_first(bench: Bench) -> None:
    station = bench.ready(WORKER_POOL=[0, 1])
    assert bench.guards.held == {0, 1}
    assert prepare(station, bench.broadcast("c2", WORKER_POOL=[2])).sets == ((2,),)
    assert bench.guards.held == {2}
    assert run(station, an_assignment(config_id="c1")).reason is Reason.CONFIG
    assert run(station, an_assignment(1, config_id="c2", cpus=(2,))).reason is None


@pytest.mark.parametrize(
    ("settings", "serves"),
    [
        pytest.param({"REPEAT": 9}, True, id="more repeats"),
        pytest.param({"FUZZERS": ["afl", "honggfuzz"]}, False, id="one more fuzzer"),
        pytest.param({"TARGETS": ["libpng", "libtiff"]}, False, id="one more target"),
        pytest.param({"PROGRAMS": {"afl": ["readpng"]}}, False, id="programs"),
        pytest.param({"WORKERS": 2}, False, id="CPUs"),
        pytest.param({"NO_ARCHIVE": True}, False, id="how results are kept"),
        pytest.param({"REPEAT": "nonsense"}, False, id="a file that does not hold"),
    ],
)
def test_what_is_set_up_serves_a_file_that_has_more_repeats(
    bench: Bench, settings: dict[str, Any], *, serves: bool
) -> None:
    before = bench.broadcast()
    after = replace(before, text=campaign_text(**settings))
    assert bench.station().serves(after, before) is serves


def test_the_same_images_are_not_built_again(bench: Bench) -> None:
    station = bench.ready()
    assert prepare(station, bench.broadcast("c2")).unfit == ""
    assert len(bench.runner.builds) == 1


def test_a_build_that_nobody_needs_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    building, go_on = threading.Event(), threading.Event()
    build = bench.runner.build

    def slow(*args: Any, **kwargs: Any) -> str:
        building.set()
        assert go_on.wait(10)
        return build(*args, **kwargs)

    monkeypatch.setattr(bench.runner, "build", slow)
    station = bench.station()
    station.prepare(bench.broadcast())
    assert building.wait(10)
    assert station.progress() == "image 1 of 1: afl/libpng"
    station.prepare(bench.broadcast("c2"))
    go_on.set()
    first, second = await_news(station, 2)
    assert isinstance(first, Prepared)
    assert isinstance(second, Prepared)
    assert (first.config_id, second.config_id, second.unfit) == ("c1", "c2", "")
    assert "given up" in first.unfit


def test_release_does_not_wait_for_a_build_that_is_silent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("magma_remote.runtime.station.local.RELEASE_SECONDS", 0.05)
    building, go_on = threading.Event(), threading.Event()

    def silent(*_: Any, **__: Any) -> str:
        building.set()
        assert go_on.wait(10)
        return "sha256:late"

    monkeypatch.setattr(bench.runner, "build", silent)
    station = bench.station()
    station.prepare(bench.broadcast())
    assert building.wait(10)
    station.release()
    assert not go_on.is_set()
    go_on.set()
    assert "given up" in prepared(station).unfit
    assert not bench.guards.held


def test_preparing_waits_for_runs_that_are_left(bench: Bench) -> None:
    assignment = an_assignment()
    bench.scripts[str(assignment.job)] = Script(hangs=Hang.FUZZING)
    station = bench.ready()
    station.start(assignment)
    until(lambda: station.status(assignment.run)[0] == "fuzzing")
    station.prepare(bench.broadcast("c2"))
    until(lambda: station.progress() == "waiting for 1 runs to end")
    assert bench.guards.held == {0, 1, 2, 3}
    station.stop(assignment.run)
    first, second = await_news(station, 2)
    assert getattr(first, "reason", None) is Reason.INTERRUPTED
    assert isinstance(second, Prepared)
    assert second.unfit == ""


def test_a_build_that_failed_is_tried_anew_by_the_next_preparation(bench: Bench) -> None:
    failure = BuildError("no build")
    bench.runner.build_failures = [failure, failure]
    station = bench.ready()
    assert run(station, an_assignment(0)).reason is Reason.IMAGE
    assert prepare(station, bench.broadcast()).unfit == ""
    assert run(station, an_assignment(1)).reason is None
