"""A whole campaign with a dispatcher and two workers, each with one CPU; several tests look at it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cluster import new_cluster
from tests.magma_reader import read_workdir
from tests.quickruns import CPUS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

    from tests.cluster import Cluster
    from tests.quickruns import Ended


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory,
    docker_engine: DockerClient,
    base_image: str,  # noqa: ARG001 - must be there
) -> Iterator[Cluster]:
    with new_cluster(tmp_path_factory.mktemp("cluster"), docker_engine) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def ended(cluster: Cluster) -> Ended:
    cluster.start_worker("w0", CPUS[0])
    cluster.start_worker("w1", CPUS[1], KEEP_WORKDIRS=1)
    cluster.start_dispatcher(cluster.campaign(FUZZERS=["steady", "finds"], REPEAT=2))
    return cluster.wait_for_end()


def test_all_results_are_merged(cluster: Cluster, ended: Ended) -> None:
    assert ended.code == 0, ended.output
    assert f"Ended: 4 of 4 trials are in {cluster.workdir()}." in ended.output
