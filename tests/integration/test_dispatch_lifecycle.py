"""What happens to a campaign while it runs: its dispatcher is killed or replaced, workers come, leave and are unfit."""

from __future__ import annotations

import os
import shutil
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.processes.quickrun import CPUS
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.processes.cluster import Cluster

LEAVE_SECONDS = 10.0
LONG = "60s"  # of a trial that does not end by itself within a test


def test_workers_may_be_there_before_the_queue_and_the_dispatcher(cluster: Cluster) -> None:
    cluster.server.stop()
    worker = cluster.start_worker("w0", CPUS[0])
    worker.await_output("beanstalkd", "runs go on meanwhile")
    cluster.server.start()
    worker.await_output("the queue answers again")
    cluster.start_dispatcher(cluster.campaign(REPEAT=1))
    ended = cluster.wait_for_end()
    assert ended.code == 0, ended.output
    assert worker.output.count("runs go on meanwhile") == 1, "said once"


def test_a_killed_dispatcher_goes_on_with_the_same_campaign_alone(cluster: Cluster) -> None:
    campaign = cluster.campaign()
    cluster.start_dispatcher(campaign).await_output("begins: 4 jobs")
    cluster.start_workers()
    cluster.await_count("done", 1)
    cluster.kill("dispatcher")
    done = cluster.status()["counts"]["done"]

    cluster.start_dispatcher(cluster.campaign("other", REPEAT=3))
    other = cluster.wait_for_end()
    assert other.code == 2
    assert "other.hjson makes other trials now" in other.output

    script = cluster.lab.tree / "fuzzers" / "steady" / "run.sh"
    before = script.read_bytes()
    script.write_bytes(before + b"# changed\n")
    cluster.start_dispatcher(campaign)
    changed = cluster.wait_for_end()
    assert changed.code == 2
    assert "the Magma tree for steady/toy was" in changed.output
    script.write_bytes(before)

    cluster.start_dispatcher(campaign)
    ended = cluster.wait_for_end()
    assert ended.code == 0, ended.output
    assert f"goes on: {done} of 4 jobs are settled" in ended.output
    assert cluster.entries() == [f"steady/toy/letters/{run}" for run in range(4)]
    starts = sum(cluster.program(name).output.count("starts on CPUs") for name in ("w0", "w1"))
    assert starts == 4, "nothing ran twice"
    cluster.assert_nothing_is_left()


def test_ctrl_c_leaves_the_campaign_to_the_workers(cluster: Cluster) -> None:
    campaign = cluster.campaign(REPEAT=2)
    cluster.start_dispatcher(campaign).await_output("begins")
    worker = cluster.start_worker("w0", CPUS[0])
    worker.await_output("starts on CPUs")
    cluster.kill("dispatcher", signal.SIGINT)
    ended = cluster.wait_for_end()
    assert ended.code == 1
    assert "goes on: workers run what is queued" in ended.output
    until(lambda: worker.output.count(": complete") == 2)
    assert len(cluster.run_folders("w0")) == 2, "results wait for their dispatcher"
    cluster.start_dispatcher(campaign)
    again = cluster.wait_for_end()
    assert again.code == 0, again.output
    until(lambda: not cluster.run_folders("w0"))


def test_another_campaign_is_refused_unless_by_force(cluster: Cluster) -> None:
    first = cluster.start_dispatcher(cluster.campaign("first", TIMEOUT=LONG))
    first.await_output("begins")
    cluster.start_workers()
    cluster.await_running("w0")
    config_id = cluster.status()["campaign"]["config_id"]
    second = cluster.campaign("week", REPEAT=2)
    cluster.start_dispatcher(second, name="second")
    refused = cluster.wait_for_end("second")
    assert refused.code == 2
    assert f"campaign {config_id} (first.hjson) is active on this queue" in refused.output
    assert str(cluster.workdir()) in refused.output
    assert not cluster.workdir("second").exists()

    cluster.start_dispatcher(second, "--force", name="second")
    ended = cluster.wait_for_end("second")
    assert ended.code == 0, ended.output
    assert len(cluster.entries("second")) == 2
    replaced = cluster.wait_for_end()
    assert replaced.code != 0
    assert f"campaign {config_id} was replaced on this queue by" in replaced.output
    assert cluster.entries() == []


def test_workers_that_cannot_work_are_told_of(cluster: Cluster) -> None:
    dispatcher = cluster.start_dispatcher(cluster.campaign(REPEAT=1))
    dispatcher.await_output("no worker is there")
    other = cluster.folder / "other-magma"
    shutil.copytree(cluster.lab.tree, other)
    with (other / "fuzzers" / "steady" / "run.sh").open("a") as script:
        script.write("# changed\n")
    cluster.start_worker("w0", CPUS[0], MAGMA=str(other))
    dispatcher.await_output(f"no worker can work: w0: the Magma tree {other} is not the dispatcher's")
    found = cluster.status()
    assert [(worker["name"], worker["state"]) for worker in found["workers"]] == [("w0", "unfit")]
    assert any(str(other) in warning["text"] for warning in found["warnings"])
    assert f"! no worker can work: w0: the Magma tree {other}" in cluster.call("status").output
    cluster.start_worker("w1", CPUS[1])
    ended = cluster.wait_for_end()
    assert ended.code == 0, ended.output
    assert ended.output.count("WARNING: no worker is there") == 1
    assert ended.output.count("WARNING: no worker can work") == 1


def test_cancel(cluster: Cluster) -> None:
    cluster.start_dispatcher(cluster.campaign(TIMEOUT=LONG)).await_output("begins")
    cluster.start_workers()
    for name in ("w0", "w1"):
        cluster.await_running(name)
    asked = cluster.call("cancel")
    assert asked.code == 2
    assert "--yes" in asked.output
    assert cluster.call("cancel", "--yes").code == 0
    ended = cluster.wait_for_end()
    assert ended.code == 1
    assert "Cancelled: 0 of 4 trials" in ended.output
    assert ended.output.count("  missing: ") == 4
    until(lambda: not cluster.containers("w0") and not cluster.containers("w1"))
    cluster.assert_nothing_is_left()
    assert cluster.status()["campaign"]["state"] == "cancelled"


def test_a_drained_worker_finishes_what_it_runs_and_leaves(cluster: Cluster) -> None:
    cluster.start_dispatcher(cluster.campaign(TIMEOUT="4s")).await_output("begins")
    drained, other = cluster.start_workers()
    cluster.await_running("w0")
    until(lambda: any(run["name"] == "w0" for run in cluster.status()["running"]))
    said = cluster.call("drain", "w0")
    assert said.code == 0, said.output
    left = drained.end()
    assert left.code == 0, left.output
    assert (left.output.count("starts on CPUs"), left.output.count(": complete")) == (1, 1)
    ended = cluster.wait_for_end()
    assert ended.code == 0, ended.output
    assert other.output.count(": complete") == 3
    cluster.assert_nothing_is_left()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_worker_that_is_told_to_leave_gives_its_job_back(cluster: Cluster, number: signal.Signals) -> None:
    cluster.start_dispatcher(cluster.campaign(REPEAT=1, TIMEOUT="4s")).await_output("begins")
    worker = cluster.start_worker("w0", CPUS[0])
    cluster.await_running("w0")
    begun = time.monotonic()
    worker.signal(number)
    left = worker.end()
    assert time.monotonic() - begun < LEAVE_SECONDS
    assert left.code == 0, left.output
    assert f"stopped by {number.name}: giving 1 running jobs back" in left.output
    assert not cluster.containers("w0")
    assert not cluster.run_folders("w0")
    cluster.start_worker("w1", CPUS[1])
    ended = cluster.wait_for_end()
    assert ended.code == 0, ended.output
    assert "No job has failed" in cluster.call("graveyard list").output
    cluster.assert_nothing_is_left()


@pytest.mark.skipif(len(CPUS) < 2, reason="one CPU for trials, one for our own work")
def test_a_workers_own_work_keeps_to_its_housekeeping_cpus(cluster: Cluster) -> None:
    cluster.start_dispatcher(cluster.campaign(REPEAT=2)).await_output("begins")
    worker = cluster.start_worker("w0", HOUSEKEEPING_CPUS=[CPUS[1]])
    (container,) = cluster.await_running("w0")
    assert container.attrs["HostConfig"]["CpusetCpus"] == str(CPUS[0])
    assert os.sched_getaffinity(worker.process.pid) == {CPUS[1]}
    until(lambda: any(worker["state"] == "ready" for worker in cluster.status()["workers"]))
    (seen,) = cluster.status()["workers"]
    assert (seen["cpu_sets"], seen["housekeeping_cpus"]) == ([[CPUS[0]]], [CPUS[1]])
    assert cluster.wait_for_end().code == 0


@pytest.mark.parametrize(
    ("settings", "said", "code"),
    [
        pytest.param({"WORKDIR": None, "COPY_TYPE": "ftp"}, ("WORKDIR", "COPY_TYPE"), 2, id="all at once"),
        pytest.param({"QUEUE": "/nowhere/beanstalkd.sock"}, ("/nowhere/beanstalkd.sock",), 75, id="no queue"),
        pytest.param({"TEMP_RESULTS": "dispatcher-workdir"}, ("the same folder as TEMP_RESULTS",), 2, id="one folder"),
    ],
)
def test_what_cannot_be_leaves_nothing(
    cluster: Cluster, settings: dict[str, Any], said: tuple[str, ...], code: int
) -> None:
    cluster.start_dispatcher(cluster.campaign(), **settings)
    ended = cluster.wait_for_end()
    assert ended.code == code
    assert all(word in ended.output for word in said), ended.output
    assert not cluster.workdir().exists()
    assert not (cluster.folder / "dispatcher-temp").exists()
