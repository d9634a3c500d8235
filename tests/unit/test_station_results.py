"""What runs of a worker's station leave: results until nobody needs them, logs of those that failed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.memory_container import Script
from magma_remote.model.outcome import Reason
from magma_remote.runtime.workdir import manifest
from tests.support.memory.station import an_assignment, prepare, run
from tests.support.waiting import until

if TYPE_CHECKING:
    from magma_remote.ports import RunEnded
    from tests.support.memory.station import Bench


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


def _record(ended: RunEnded) -> dict[str, object]:
    assert ended.place is not None
    return dict(json.loads((Path(ended.place.folder) / "trials/afl,libpng,readpng,0.json").read_text()))


def test_a_record_tells_where_it_ran(bench: Bench) -> None:
    assert _record(run(bench.ready(), an_assignment(cpus=(1, 2))))["cpus"] == [1, 2]
