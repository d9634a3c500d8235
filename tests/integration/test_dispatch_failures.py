"""Jobs that fail, containers that are killed, and what a person does about the dead ones afterwards."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from docker.errors import APIError

from tests.support.processes.quickrun import CPUS
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.processes.cluster import Cluster

ATTEMPTS = 3


def test_failing_fuzzers_are_named_and_the_others_complete(cluster: Cluster) -> None:
    campaign = cluster.campaign(FUZZERS=["steady", "aborts", "broken"], FUZZARGS={"aborts": "-Q"}, REPEAT=1)
    cluster.start_dispatcher(campaign).await_output("begins: 3 jobs")
    cluster.start_workers()
    ended = cluster.wait_for_end()
    assert ended.code == 1
    assert f"Ended: 1 of 3 trials are in {cluster.workdir()}" in ended.output
    assert cluster.entries() == ["steady/toy/letters/0"]
    missing = [line for line in ended.lines if line.startswith("  missing: ")]
    assert [line.split(",")[1] for line in missing] == ["aborts", "broken"]
    for line, reason in zip(missing, ("(ended_early: ", "(image: "), strict=True):
        assert reason in line
        assert line.endswith(f"; {ATTEMPTS} attempts)")
    assert "magma-remote graveyard requeue JOB" in ended.lines[-1]
    cluster.assert_nothing_is_left()
    jobs = json.loads(cluster.call("graveyard list", "--json").output)["jobs"]
    for job in jobs:
        workers = [run["name"] for run in job["runs"]]
        assert len(workers) == ATTEMPTS
        assert workers[0] != workers[1], "another worker lives: it has the next try"
    tails = cluster.call("graveyard list", "--tail").output
    assert "PROGRAM ABORT : no support for -Q" in tails
    assert "broken: no rule to make target 'fuzzer'" in tails


def kill_containers(cluster: Cluster, worker: str, count: int) -> None:
    """Kill so many containers of a worker, one after the other."""
    killed: set[str] = set()

    def kill_one_more() -> bool:
        for container in cluster.containers(worker, running=True):
            if container.id not in killed:
                with suppress(APIError):  # it is just being created, or has ended
                    container.kill()
                    killed.add(str(container.id))
        return len(killed) >= count

    until(kill_one_more)


def test_a_dead_job_is_requeued_and_completes(cluster: Cluster) -> None:
    campaign = cluster.campaign(REPEAT=1)
    cluster.start_dispatcher(campaign).await_output("begins")
    cluster.start_worker("w0", CPUS[0])
    kill_containers(cluster, "w0", ATTEMPTS)
    ended = cluster.wait_for_end()
    assert ended.code == 1
    assert "Ended: 0 of 1 trials" in ended.output
    assert cluster.call("status").output.count("dead") >= 1
    requeued = cluster.call("graveyard requeue", "--all")
    assert requeued.code == 0
    assert "requeued 0: steady/toy/letters #0" in requeued.output
    assert "type `magma-remote dispatch" in requeued.output
    cluster.start_dispatcher(campaign)
    again = cluster.wait_for_end()
    assert again.code == 0, again.output
    assert cluster.entries() == ["steady/toy/letters/0"]
    cluster.assert_nothing_is_left()
