"""The worker's station on the engine of this machine, in this process and in one that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.adapters import claims
from magma_remote.model.container import WORKDIR_LABEL
from magma_remote.model.outcome import Reason
from magma_remote.ports import Prepared, RunEnded
from magma_remote.runtime.station.folders import open_workdirs
from magma_remote.runtime.station.local import LocalStation
from magma_remote.runtime.workdir import manifest
from tests.support.places import ROOT
from tests.support.processes import lone_station
from tests.support.processes.quickrun import CPUS, await_cpus, cache
from tests.support.waiting import DEADLINE, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker.models.containers import Container

    from magma_remote.ports import Assignment
    from tests.support.processes.quickrun import Lab

pytestmark = [
    pytest.mark.skipif(len(CPUS) < 2, reason="needs a CPU for a trial and one for the rest"),
    # the SDK leaves sockets of ended threads to the garbage collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("collected"),
]
TRIAL, REST = CPUS[0], CPUS[-1]
LEAVE_SECONDS = 10.0


@pytest.fixture(autouse=True)
def _affinity() -> Iterator[None]:
    """A station moves all of its process to the housekeeping CPUs."""
    before = os.sched_getaffinity(0)
    yield
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), before)


@contextmanager
def station_of(lab: Lab) -> Iterator[LocalStation]:
    with open_workdirs(lab.workdir(), "w1", claims) as worker:
        found = lone_station.settings(workdirs=lab.workdir(), root=lab.tree, worker=worker, housekeeping=(REST,))
        station = LocalStation(found, lone_station.OUTSIDE)
        try:
            yield station
        finally:
            station.release()


def prepare(lab: Lab, station: LocalStation, **settings: Any) -> tuple[Prepared, list[Assignment]]:
    """Set up as soon as no other test on this machine has the CPU."""
    campaign = lab.campaign(**settings | {"WORKER_POOL": [TRIAL]})
    end = time.monotonic() + DEADLINE
    while True:
        station.prepare(lone_station.broadcast(campaign, lab.tree))
        (news,) = await_news(station)
        assert isinstance(news, Prepared)
        if "CPUs in use" not in news.unfit or time.monotonic() > end:
            return news, lone_station.assignments(campaign, lab.tree, TRIAL)


def await_news(station: LocalStation) -> list[Prepared | RunEnded]:
    end = time.monotonic() + DEADLINE
    while not (news := station.news()):
        assert time.monotonic() < end, station.progress()
        station.wait(1.0)
    return news


def run(station: LocalStation, assignment: Assignment) -> RunEnded:
    station.start(assignment)
    (news,) = await_news(station)
    assert isinstance(news, RunEnded)
    return news


def containers(lab: Lab) -> list[Container]:
    found = lab.engine.containers.list(all=True, filters={"label": WORKDIR_LABEL}, ignore_removed=True)
    return [box for box in found if box.labels[WORKDIR_LABEL].startswith(f"{lab.workdir()}/")]


def fuzzing(station: LocalStation, assignment: Assignment) -> bool:
    return station.status(assignment.run)[0] == "fuzzing"


def test_a_run_from_broadcast_to_confirmation(lab: Lab) -> None:
    with station_of(lab) as station:
        prepared, (assignment,) = prepare(lab, station)
        assert (prepared.unfit, prepared.sets, prepared.housekeeping) == ("", ((TRIAL,),), (REST,))
        station.start(assignment)
        until(lambda: fuzzing(station, assignment))
        (box,) = containers(lab)
        assert box.attrs["HostConfig"]["CpusetCpus"] == str(TRIAL)
        masks = [os.sched_getaffinity(int(path.name)) for path in Path("/proc/self/task").iterdir()]
        assert all(mask == {REST} for mask in masks)
        (ended,) = await_news(station)
        assert isinstance(ended, RunEnded)
        assert (ended.reason, ended.message) == (None, "complete")
        assert ended.place is not None
        folder = Path(ended.place.folder)
        listed = manifest.verify(folder, ended.manifest)
        assert {entry.path for entry in listed.entries} >= {
            "ar/steady/toy/letters/0/ball.tar",
            "log/steady_toy_build_127.0.0.1.log",
            "log/steady_toy_letters_0_container.log",
        }
        assert containers(lab) == []
        station.forget(assignment.run)
        until(lambda: not folder.exists())
    assert not cache(lab.workdir()).exists()


@pytest.mark.parametrize(
    ("fuzzer", "reason"),
    [
        pytest.param("early", Reason.ENDED_EARLY, id="early"),
        pytest.param("dies", Reason.ENDED_EARLY, id="dies"),
        pytest.param("broken", Reason.IMAGE, id="broken"),
    ],
)
def test_a_fuzzer_that_misbehaves(lab: Lab, fuzzer: str, reason: Reason) -> None:
    with station_of(lab) as station:
        prepared, (assignment,) = prepare(lab, station, FUZZERS=[fuzzer])
        assert prepared.unfit == ""
        ended = run(station, assignment)
    assert ended.reason is reason, ended
    assert ended.tail
    assert Path(ended.log).is_file()
    assert not list(lab.workdir().glob("workdir_*"))


def test_a_stop_ends_a_stubborn_fuzzer_in_time(lab: Lab) -> None:
    with station_of(lab) as station:
        _, (assignment,) = prepare(lab, station, FUZZERS=["stubborn"], TIMEOUT="1h")
        station.start(assignment)
        until(lambda: fuzzing(station, assignment))
        begun = time.monotonic()
        station.stop(assignment.run)
        (ended,) = await_news(station)
        assert isinstance(ended, RunEnded)
        assert ended.reason is Reason.INTERRUPTED
        assert time.monotonic() - begun < LEAVE_SECONDS
        assert containers(lab) == []


@contextmanager
def process_of(
    lab: Lab, *, housekeeping: tuple[int, ...] = (REST,), **settings: Any
) -> Iterator[subprocess.Popen[str]]:
    campaign = lab.campaign(**settings | {"WORKER_POOL": [TRIAL]})
    facts = {
        "campaign": str(campaign),
        "root": str(lab.tree),
        "workdirs": str(lab.workdir()),
        "housekeeping": housekeeping,
        "cpu": TRIAL,
    }
    file = lab.folder / "station.json"
    file.write_text(json.dumps(facts))
    await_cpus()
    process = subprocess.Popen(
        [sys.executable, lone_station.__file__, str(file)],
        stdout=(lab.folder / "station.out").open("w"),
        stderr=subprocess.STDOUT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def said(lab: Lab) -> str:
    return (lab.folder / "station.out").read_text()


def test_what_a_killed_worker_left_is_reaped(lab: Lab) -> None:
    with process_of(lab, TIMEOUT="1h") as process:
        until(lambda: containers(lab) and containers(lab)[0].status == "running")
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert containers(lab)
    assert list(lab.workdir().glob("workdir_*"))
    assert cache(lab.workdir()).exists()
    with station_of(lab) as station:
        until(lambda: not containers(lab))
        until(lambda: not list(lab.workdir().glob("workdir_*")))
        until(lambda: not cache(lab.workdir()).exists())
        assert station.kept() == ()
        prepared, (assignment,) = prepare(lab, station)
        assert prepared.unfit == ""
        assert run(station, assignment).reason is None


def test_without_housekeeping_cpus_it_keeps_off_the_trials(lab: Lab) -> None:
    with process_of(lab, housekeeping=(), TIMEOUT="1h") as process:
        until(lambda: containers(lab) and containers(lab)[0].status == "running")
        threads = [int(path.name) for path in Path(f"/proc/{process.pid}/task").iterdir()]
        assert len(threads) > 1
        assert not [thread for thread in threads if TRIAL in os.sched_getaffinity(thread)]
        assert_leaves(process, lab)


def test_sigterm_while_a_trial_runs(lab: Lab) -> None:
    with process_of(lab, FUZZERS=["stubborn"], TIMEOUT="1h") as process:
        until(lambda: containers(lab) and containers(lab)[0].status == "running")
        assert_leaves(process, lab)
    assert '"stopped before its end"' in said(lab)
    assert containers(lab) == []
    assert not list(lab.workdir().glob("workdir_*"))
    assert not cache(lab.workdir()).exists()


def test_sigterm_while_an_image_builds_in_silence(lab: Lab) -> None:
    build = lab.tree / "fuzzers/steady/build.sh"
    script = build.read_text()
    build.write_text(f"#!/bin/bash\necho it-sleeps-now-{os.getpid()}\nsleep 600\n")
    before = {box.id for box in lab.engine.containers.list(all=True, ignore_removed=True)}
    with process_of(lab) as process:
        logs = lab.workdir() / "log"
        until(lambda: any("it-sleeps-now" in path.read_text() for path in logs.glob("*")) or process.poll() is not None)
        assert _sleepers(lab, before), said(lab)
        assert_leaves(process, lab)
    until(lambda: not _sleepers(lab, before))
    build.write_text(script)
    with station_of(lab) as station:
        prepared, (assignment,) = prepare(lab, station)
        assert prepared.unfit == ""
        assert run(station, assignment).reason is None


def _sleepers(lab: Lab, before: set[str | None]) -> list[Container]:
    """Containers of the build, which carry no label."""
    found = lab.engine.containers.list(all=True, ignore_removed=True)
    return [box for box in found if box.id not in before and "build.sh" in str(box.attrs["Config"]["Cmd"])]


def assert_leaves(process: subprocess.Popen[str], lab: Lab) -> None:
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(LEAVE_SECONDS) == 0, said(lab)
    assert time.monotonic() - begun < LEAVE_SECONDS
    assert "Traceback" not in said(lab)
