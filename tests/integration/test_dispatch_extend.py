"""A campaign with real beanstalkd and worker is extended in its middle and after its end."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.processes.cluster import new_cluster
from tests.support.processes.command import COMMAND
from tests.support.processes.quickrun import CPUS
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

    from tests.support.processes.cluster import Cluster
    from tests.support.processes.command import Ended


def trials(repeat: int, *fuzzers: str) -> list[str]:
    return [f"{fuzzer}/toy/letters/{run}" for fuzzer in sorted(fuzzers) for run in range(repeat)]


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory,
    docker_engine: DockerClient,
    base_image: str,
) -> Iterator[Cluster]:
    """A campaign of one trial has ended, and its worker waits."""
    with new_cluster(tmp_path_factory.mktemp("cluster"), docker_engine) as cluster:
        cluster.start_dispatcher(cluster.campaign(REPEAT=1)).await_output("begins")
        cluster.start_worker("w0", *CPUS)
        assert cluster.wait_for_end().code == 0
        yield cluster


def dispatch(cluster: Cluster, *options: str, **campaign: Any) -> Ended:
    cluster.start_dispatcher(cluster.campaign(**campaign), *options)
    return cluster.wait_for_end()


def manifest(cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((cluster.workdir() / "manifest.json").read_text())
    return found


def test_without_the_option_it_is_named(cluster: Cluster) -> None:
    refused = dispatch(cluster, REPEAT=2)
    assert refused.code == 2
    assert "further trials: 1 of steady/toy/letters; `magma-remote dispatch --extend` runs" in refused.output


@pytest.mark.parametrize(
    ("campaign", "said"),
    [
        pytest.param({"REPEAT": 2, "TIMEOUT": "3s"}, "TIMEOUT was 2 s, is 3 s", id="timeout"),
        pytest.param({"REPEAT": 2, "POLL": 2}, "POLL was 1, is 2", id="poll"),
        pytest.param({"FUZZERS": ["finds"]}, "no longer asked for: 1 of steady/toy/letters", id="a fuzzer less"),
    ],
)
def test_what_could_not_be_compared_is_refused(cluster: Cluster, campaign: dict[str, Any], said: str) -> None:
    before = manifest(cluster)
    refused = dispatch(cluster, "--extend", **{"REPEAT": 1} | campaign)
    assert refused.code == 2
    assert said in refused.output
    assert manifest(cluster) == before
    assert cluster.entries() == trials(1, "steady")


def test_what_would_be_added_is_told(cluster: Cluster) -> None:
    more = cluster.campaign("more", REPEAT=2, FUZZERS=["steady", "finds"])
    told = json.loads(cluster.call("extend", str(more), "--check", "--json").output)
    groups = ["1 of steady/toy/letters", "2 of finds/toy/letters"]
    assert told == {"version": 1, "added": 3, "groups": groups}
    assert cluster.status()["counts"]["done"] == sum(cluster.status()["counts"].values()) == 1


def test_only_what_is_new_runs_and_all_is_counted(cluster: Cluster) -> None:
    starts = cluster.program("w0").output.count("starts on CPUs")
    first, config_id = manifest(cluster), cluster.status()["campaign"]["config_id"]
    ended = dispatch(cluster, "--extend", REPEAT=2, FUZZERS=["steady", "finds"])
    assert ended.code == 0, ended.output
    assert "has 3 more jobs: 1 of steady/toy/letters, 2 of finds/toy/letters" in ended.output
    assert f"Ended: 4 of 4 trials are in {cluster.workdir()}" in ended.output
    assert cluster.entries() == trials(2, "finds", "steady")
    assert cluster.program("w0").output.count("starts on CPUs") - starts == 3
    found = cluster.status()
    assert (found["counts"]["done"], found["campaign"]["config_id"]) == (4, config_id)
    last = manifest(cluster)
    assert [edition["sha256"] for edition in last["campaign"]["editions"]] == [first["campaign"]["sha256"]]
    assert last["campaign"]["sha256"] != first["campaign"]["sha256"]
    assert len(last["magma"]["later"]) == 1
    assert last["trials"][0] == first["trials"][0], "the first part is as it was"
    collected = json.loads(cluster.call("collect", "--json").output)
    assert (collected["complete"], collected["total"], collected["missing"]) == (4, 4, [])
    done = subprocess.run([COMMAND, "verify", str(cluster.workdir())], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_killed_dispatcher_goes_on_with_the_extended_campaign(cluster: Cluster) -> None:
    extended = cluster.campaign(REPEAT=3, FUZZERS=["steady", "finds"])
    cluster.start_dispatcher(extended, "--extend").await_output("has 2 more jobs")
    busy = cluster.folder / "other.hjson"
    busy.write_text(extended.read_text().replace('"REPEAT": 3', '"REPEAT": 4'))
    cluster.start_dispatcher(busy, "--extend", name="dispatcher")
    held = cluster.wait_for_end()
    assert held.code != 0
    assert "is running there" in held.output
    for program in cluster.started:
        if program.name == "dispatcher" and program.runs:
            program.kill()
    cluster.start_dispatcher(extended)
    ended = cluster.wait_for_end()
    assert ended.code == 0, ended.output
    assert cluster.entries() == trials(3, "finds", "steady")
    until(lambda: not cluster.run_folders("w0"))


def test_a_service_is_extended_before_it_starts_again(cluster: Cluster) -> None:
    more = cluster.campaign(REPEAT=4, FUZZERS=["steady", "finds"])
    extended = cluster.call("extend", str(more))
    assert extended.code == 0, extended.output
    assert "has 2 more jobs" in extended.output
    found = cluster.status()
    assert (found["counts"]["waiting"], found["campaign"]["state"]) == (2, "open")
    assert len(manifest(cluster)["trials"]) == 8
