"""A whole campaign with a dispatcher and two workers, each with one CPU; several tests look at it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.adapters import claims
from tests.support.processes.cluster import new_cluster
from tests.support.processes.quickrun import CPUS, cache
from tests.support.waiting import until
from tests.support.workdirs.magma_reader import read_workdir

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

    from tests.support.processes.cluster import Cluster
    from tests.support.processes.command import Ended

TRIALS = [f"{fuzzer}/toy/letters/{run}" for fuzzer in ("finds", "steady") for run in range(2)]


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory,
    docker_engine: DockerClient,
    base_image: str,
) -> Iterator[Cluster]:
    """The campaign is over, and the workers have heard it."""
    with new_cluster(tmp_path_factory.mktemp("cluster"), docker_engine) as cluster:
        cluster.start_dispatcher(
            cluster.campaign(FUZZERS=["steady", "finds"], REPEAT=2, POC_EXTRACT=True)
        ).await_output("begins")
        cluster.start_worker("w0", CPUS[0])
        cluster.start_worker("w1", CPUS[1], KEEP_WORKDIRS=1)
        cluster.wait_for_end()
        for worker in ("w0", "w1"):
            cluster.program(worker).await_output("is over")
        if cluster.disturbed:
            pytest.skip("others had the CPUs: the workers had no fair shares")
        yield cluster


@pytest.fixture(scope="module")
def ended(cluster: Cluster) -> Ended:
    return cluster.program().end()


@pytest.fixture(scope="module")
def records(cluster: Cluster) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((cluster.workdir() / "trials").glob("*.json"))]


def test_exit_code_and_output(cluster: Cluster, ended: Ended) -> None:
    assert ended.code == 0, ended.output
    assert f"Ended: 4 of 4 trials are in {cluster.workdir()}" in ended.output
    assert "missing" not in ended.output
    assert ended.output.count("begins: 4 jobs") == 1


def test_results_are_read_as_magma_reads_them(cluster: Cluster) -> None:
    assert cluster.entries() == TRIALS
    found = read_workdir(cluster.workdir())
    assert sorted(found) == TRIALS
    assert all("TOY001" in trial["triggered"] for trial in found.values())
    assert any("TOY001" in path.name for path in (cluster.workdir() / "poc").iterdir())


def test_trials_ran_on_the_cpus_of_their_worker(cluster: Cluster, records: list[dict[str, Any]]) -> None:
    started: list[str] = []
    for name, cpu in zip(("w0", "w1"), CPUS, strict=True):
        started += (mine := re.findall(r" starts on CPUs (\S+)", cluster.program(name).output))
        assert set(mine) == {str(cpu)}, "each has its share, on its CPU"
    assert sorted(str(cpu) for record in records for cpu in record["cpus"]) == sorted(started)


def test_nothing_is_left(cluster: Cluster) -> None:
    cluster.assert_nothing_is_left()
    until(lambda: not any(cache(cluster.workdirs(name)).exists() for name in ("w0", "w1")))
    with claims.cpu_claims(CPUS, owner="a test that looks whether they are free"):
        pass


def test_folders_are_kept_where_that_is_asked_for(cluster: Cluster) -> None:
    assert not cluster.run_folders("w0")
    kept = cluster.run_folders("w1")
    assert len(kept) == cluster.program("w1").output.count(": complete") > 0
    assert all((folder / "manifest.json").is_file() and list(folder.glob("ar/*/toy/letters/*")) for folder in kept)


def test_status_and_logs(cluster: Cluster) -> None:
    found = cluster.status()
    assert (found["campaign"]["state"], found["counts"]["done"], found["dispatcher_runs"]) == ("ended", 4, False)
    assert {(worker["name"], worker["lost"]) for worker in found["workers"]} == {("w0", False), ("w1", False)}
    assert found["warnings"] == []
    logs = cluster.call("logs", "0")
    assert logs.code == 0
    assert "Campaign launched at" in logs.output


def test_logs_are_structured_and_name_their_jobs(cluster: Cluster) -> None:
    lines = [json.loads(line) for line in (cluster.workdirs("w0") / "log" / "worker.jsonl").read_text().splitlines()]
    starts = [line for line in lines if " starts on CPUs" in line["message"]]
    assert starts
    assert all(line["job"] and line["run"] for line in starts)
    assert (cluster.workdir() / "log" / "dispatcher.jsonl").read_text().count("\n") > 2


def test_dispatched_again_it_says_that_all_is_there(cluster: Cluster, ended: Ended) -> None:
    cluster.start_dispatcher(cluster.folder / "campaign.hjson")
    again = cluster.wait_for_end()
    assert again.code == 0
    assert "4 of 4 jobs are settled" in again.output
    assert again.lines[-1] == ended.lines[-1]
    assert cluster.entries() == TRIALS
