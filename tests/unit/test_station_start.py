"""What a worker's station does when it is started, before there is a campaign."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from magma_remote.errors import CpuError, UsageError
from magma_remote.model.container import CPUS_LABEL, WORKDIR_LABEL, ContainerSpec
from magma_remote.model.outcome import Reason
from tests.support.memory.station import an_assignment, ended
from tests.support.waiting import until

if TYPE_CHECKING:
    from magma_remote.ports import Station
    from tests.support.memory.station import Bench


def test_a_start_reaps_what_a_killed_worker_left(bench: Bench) -> None:
    bench.workdirs.mkdir()
    for name in ("workdir_c1_1-aaaaaa", "workdir_c1_2-bbbbbb/log"):
        (bench.workdirs / name).mkdir(parents=True)
    mine, others = bench.workdirs / "workdir_c1_1-aaaaaa", bench.workdirs.with_name("workdirs2") / "workdir_c1_1-aaaaaa"
    for cpu, folder in enumerate((mine, others)):
        labels = {WORKDIR_LABEL: str(folder), CPUS_LABEL: str(cpu)}
        spec = ContainerSpec(image="i", shared=mine, cpus=(cpu,), environment={"TIMEOUT": "1m"}, labels=labels)
        bench.runner.create(spec)
    bench.station()
    until(lambda: len(bench.runner.containers) == 1)
    until(lambda: not list(bench.workdirs.glob("workdir_*")))
    (left,) = bench.runner.containers.values()
    assert left.spec.labels[WORKDIR_LABEL] == str(others)
    bench.runner.containers.clear()


def test_with_keep_a_start_leaves_folders_alone(bench: Bench) -> None:
    (bench.workdirs / "workdir_c1_1-aaaaaa").mkdir(parents=True)
    bench.keep = True
    bench.ready()
    assert (bench.workdirs / "workdir_c1_1-aaaaaa").is_dir()


@pytest.mark.parametrize(
    ("cpus", "word"),
    [pytest.param((7,), "CPU 7 cannot be used", id="none"), pytest.param((0, 1, 2, 3), "holds all", id="all")],
)
def test_housekeeping_cpus_that_cannot_be(bench: Bench, cpus: tuple[int, ...], word: str) -> None:
    bench.housekeeping = cpus
    with pytest.raises(CpuError, match=word):
        bench.station()


def test_workdirs_inside_the_tree_are_refused(bench: Bench) -> None:
    bench.workdirs = bench.root / "results"
    with pytest.raises(UsageError, match="WORKDIRS"):
        bench.station()


def test_nothing_is_started_before_it_is_set_up(bench: Bench) -> None:
    station = bench.station()
    station.start(an_assignment())
    assert ended(station).reason is Reason.CONFIG


def test_it_is_a_station(bench: Bench) -> None:
    station: Station = bench.station()
    assert (station.news(), station.kept(), station.progress()) == ([], (), "")
