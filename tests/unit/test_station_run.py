"""Runs of a worker's station, and what befalls them."""

from __future__ import annotations

import errno
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.memory_container import Hang, Script
from magma_remote.errors import EngineError, StorageError
from magma_remote.model.outcome import Reason
from magma_remote.runtime.station import run as station_run
from magma_remote.runtime.trial.cache import Shared
from magma_remote.runtime.trial.trial import Site
from tests.support.memory.station import an_assignment, await_news, ended, run
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.memory.station import Bench


def test_two_runs_of_one_job_beside_each_other(bench: Bench) -> None:
    one, two = an_assignment(1, cpus=(0,)), an_assignment(2, cpus=(1,))
    bench.scripts[str(one.job)] = Script(hangs=Hang.FUZZING)
    station = bench.ready()
    station.start(one)
    until(lambda: station.status(one.run)[0] == "fuzzing")
    bench.scripts.clear()
    assert run(station, two).reason is None
    station.stop(one.run)
    assert ended(station).reason is Reason.INTERRUPTED
    shared = {spec.shared for spec in bench.runner.created}
    assert len(shared) == 2


def test_a_stop_before_the_container_ends_the_run_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    making, go_on = threading.Event(), threading.Event()
    make = Shared.make

    def slow(shared: Shared) -> None:
        making.set()
        assert go_on.wait(10)
        make(shared)

    monkeypatch.setattr(Shared, "make", slow)
    station = bench.ready()
    station.start(an_assignment())
    assert making.wait(10)
    station.stop("0-abcdef")
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "stop 0-abcdef"])
    go_on.set()
    assert ended(station).reason is Reason.INTERRUPTED
    assert not bench.runner.created


def test_a_stop_of_a_container_that_hangs_does_not_block(bench: Bench) -> None:
    killing, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        killing.set()
        assert go_on.wait(10)

    assignment = an_assignment()
    bench.scripts[str(assignment.job)] = Script(hangs=Hang.FUZZING, at={"kill": hang})
    station = bench.ready()
    station.start(assignment)
    until(lambda: station.status(assignment.run)[0] == "fuzzing")
    station.stop(assignment.run)
    assert killing.wait(10)
    assert station.news() == []
    go_on.set()
    assert ended(station).reason is Reason.INTERRUPTED


def test_a_stop_after_the_end_is_nothing(bench: Bench) -> None:
    station = bench.ready()
    run(station, an_assignment())
    station.stop("0-abcdef")
    station.stop("1-unknown")
    assert station.news() == []


def test_a_status_says_phase_and_bugs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("magma_remote.runtime.trial.watch._LONGEST_TICK", 0.01)
    assignment = an_assignment()
    bench.scripts[str(assignment.job)] = Script(hangs=Hang.FUZZING)
    station = bench.ready()
    station.start(assignment)
    until(lambda: station.status(assignment.run)[2] == ("A",))
    before = station.status(assignment.run)
    assert before[0] == "fuzzing"
    assert station.status(assignment.run) == before
    station.stop(assignment.run)
    ended(station)
    assert station.status(assignment.run)[0] == "ended"


def test_limits_are_enforced(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("magma_remote.runtime.trial.watch._LONGEST_TICK", 0.01)
    monkeypatch.setattr(station_run, "Site", partial(Site, launch_limit=0.05))
    assignment = an_assignment()
    bench.scripts[str(assignment.job)] = Script(hangs=Hang.PRUNING)
    station = bench.ready()
    assert run(station, assignment).reason is Reason.NOT_LAUNCHED


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        pytest.param(errno.ENOSPC, Reason.DISK, id="full"),
        pytest.param(errno.EIO, Reason.ARCHIVE, id="other"),
    ],
)
@pytest.mark.parametrize(
    "step",
    [
        pytest.param("trial.trial.publish", id="archive"),
        pytest.param("station.run.write_manifest", id="manifest"),
    ],
)
def test_an_archive_that_fails_frees_its_cache(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str, number: int, reason: Reason
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StorageError("no archive") from OSError(number, "no")

    station = bench.ready()
    monkeypatch.setattr(f"magma_remote.runtime.{step}", fail)
    ended = run(station, an_assignment())
    assert ended.reason is reason
    assert "no archive" in ended.message
    assert "kept" not in ended.message
    assert not bench.folder(an_assignment()).exists()
    assert not list(bench.shm.glob("*/*/*-abcdef"))
    assert station.kept() == ()


def test_a_folder_that_cannot_be_made(bench: Bench) -> None:
    station = bench.ready()
    bench.folder(an_assignment()).write_text("in the way")
    ended = run(station, an_assignment())
    assert (ended.reason, ended.log) == (Reason.ARCHIVE, "")
    assert str(bench.workdirs) in ended.message


def test_a_defect_ends_a_run_and_nothing_else(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    station = bench.ready()
    with monkeypatch.context() as patch:
        patch.setattr(station_run, "write_manifest", lambda _folder: 1 / 0)
        ended = run(station, an_assignment(0))
    assert ended.reason is Reason.INTERNAL
    assert "ZeroDivisionError" in ended.message
    assert run(station, an_assignment(1)).reason is None


def test_a_job_that_no_image_was_made_for(bench: Bench) -> None:
    ended = run(bench.ready(), an_assignment(fuzzer="honggfuzz"))
    assert ended.reason is Reason.UNABLE
    assert "honggfuzz/libpng" in ended.message


def test_an_image_that_was_removed_stops_further_starts(bench: Bench) -> None:
    def refuse() -> None:
        raise EngineError("no such image")

    assignment = an_assignment()
    bench.scripts[str(assignment.job)] = Script(at={"create": refuse})
    station = bench.ready()
    assert station.obstacle() == ""
    ended = run(station, assignment)
    assert ended.reason is Reason.IMAGE
    assert "removed" in station.obstacle()


def test_an_engine_in_trouble_stops_further_starts_until_it_answers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise EngineError("cannot now")

    monkeypatch.setattr(bench.runner, "image_id", lambda _name: "there")
    assignment = an_assignment()
    bench.scripts[str(assignment.job)] = Script(at={"create": refuse})
    station = bench.ready()
    assert run(station, assignment).reason is Reason.ENGINE
    assert station.obstacle() == "cannot now"
    until(lambda: station.obstacle() == "")


def test_many_runs_one_after_another_on_all_cpus(bench: Bench) -> None:
    station = bench.ready()
    for number in range(20):
        station.start(an_assignment(number, repeat=number, cpus=(number % 4,)))
        if number % 4 == 3:
            await_news(station, 4)
    assert len(station.kept()) == 20
