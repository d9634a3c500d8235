from __future__ import annotations

import errno
import hashlib
import json
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.memory_container import Hang, Script
from magma_remote.errors import BuildError, EngineError, StorageError
from magma_remote.model.outcome import Reason
from magma_remote.runtime.station import run as station_run
from magma_remote.runtime.trial.cache import Shared
from magma_remote.runtime.trial.trial import Site
from magma_remote.runtime.workdir import manifest
from tests.support.memory.station import an_assignment, await_news, ended, prepare, run
from tests.support.waiting import until

if TYPE_CHECKING:
    from magma_remote.ports import RunEnded, Station
    from tests.support.memory.station import Bench


def test_it_is_a_station(bench: Bench) -> None:
    station: Station = bench.station()
    assert (station.news(), station.kept(), station.progress()) == ([], (), "")


def test_a_complete_run_can_be_fetched(bench: Bench) -> None:
    bench.housekeeping = (3,)
    station = bench.ready()
    assignment = an_assignment()
    ended = run(station, assignment)
    folder = bench.folder(assignment)
    assert (ended.reason, ended.reached, ended.triggered) == (None, ("A", "B"), ("A",))
    assert ended.place is not None
    assert (ended.place.folder, ended.place.token, ended.place.cpus) == (str(folder), "0123456789ab", (3,))
    assert ended.manifest == hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    manifest.verify(folder, ended.manifest)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {
        "ar/afl/libpng/readpng/0/ball.tar",
        "log/afl_libpng_build_192.0.2.7.log",
        "log/afl_libpng_readpng_0_container.log",
        "trials/afl,libpng,readpng,0.json",
        "manifest.json",
    }
    (kept,) = station.kept()
    assert (kept.assignment, kept.ended) == (assignment, ended)
    assert bench.runner.created[0].cpus == (0,)


def test_a_result_is_announced_again_after_a_restart(bench: Bench) -> None:
    first = bench.ready()
    ended = run(first, an_assignment(0, cpus=(0, 1)))
    first.release()
    second = bench.station()
    (kept,) = second.kept()
    assert (kept.assignment, kept.ended) == (an_assignment(0, cpus=(0, 1)), ended)
    assert prepare(second, bench.broadcast()).unfit == ""
    assert bench.folder(kept.assignment).is_dir()


def test_a_mark_that_cannot_be_read_costs_no_result(bench: Bench) -> None:
    first = bench.ready()
    run(first, an_assignment())
    (bench.workdirs / "runs/0-abcdef.json").write_text("{}")
    first.release()
    second = bench.ready()
    assert second.kept() == ()
    assert bench.folder(an_assignment()).is_dir()


@pytest.mark.parametrize("keep", [pytest.param(False, id="deleted"), pytest.param(True, id="kept")])
def test_a_confirmed_result(bench: Bench, *, keep: bool) -> None:
    bench.keep = keep
    station = bench.ready()
    run(station, an_assignment())
    station.forget("0-abcdef")
    station.forget("0-abcdef")
    station.forget("9-unknown")
    assert station.kept() == ()
    folder = bench.folder(an_assignment())
    until(lambda: folder.exists() == keep)
    assert (bench.workdirs / "runs/confirmed/0-abcdef.json").exists() == keep
    station.release()
    assert bench.station().kept() == ()


@pytest.mark.parametrize("keep", [pytest.param(False, id="deleted"), pytest.param(True, id="kept")])
def test_a_failed_run_leaves_its_log(bench: Bench, *, keep: bool) -> None:
    bench.keep = keep
    assignment = an_assignment()
    bench.scripts[str(assignment.job)] = Script(says=("oh no",), dies=True)
    station = bench.ready()
    ended = run(station, assignment)
    assert ended.reason is Reason.ENDED_EARLY
    assert "oh no" in ended.tail
    assert "oh no" in Path(ended.log).read_text()
    assert bench.folder(assignment).exists() == keep
    if not keep:
        assert Path(ended.log).name == "afl_libpng_readpng_0_0-abcdef_container.log"
    assert station.kept() == ()


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


def _record(ended: RunEnded) -> dict[str, object]:
    assert ended.place is not None
    return dict(json.loads((Path(ended.place.folder) / "trials/afl,libpng,readpng,0.json").read_text()))


def test_a_record_tells_where_it_ran(bench: Bench) -> None:
    assert _record(run(bench.ready(), an_assignment(cpus=(1, 2))))["cpus"] == [1, 2]


def test_a_build_that_failed_is_tried_anew_by_the_next_preparation(bench: Bench) -> None:
    failure = BuildError("no build")
    bench.runner.build_failures = [failure, failure]
    station = bench.ready()
    assert run(station, an_assignment(0)).reason is Reason.IMAGE
    assert prepare(station, bench.broadcast()).unfit == ""
    assert run(station, an_assignment(1)).reason is None
