"""Real fuzzers on two workers: the trees of the demo, a dispatcher, and both workers on this machine."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.conftest import missing
from tests.support.places import EXAMPLES
from tests.support.processes.cluster import new_cluster
from tests.support.processes.quickrun import CPUS
from tests.support.workdirs.magma_reader import read_workdir

if TYPE_CHECKING:
    from pathlib import Path

    from docker import DockerClient

MAGMA = EXAMPLES / "magma"
FUZZERS = ("aflplusplus", "libfuzzer")


@pytest.mark.timeout(1800)  # the images are built here where no test before has built them
@pytest.mark.usefixtures("base_image")
def test_two_workers_find_bugs(tmp_path: Path, docker_engine: DockerClient) -> None:
    if not shutil.which("beanstalkd"):
        missing("no beanstalkd")
    with new_cluster(tmp_path, docker_engine) as cluster:
        campaign = cluster.campaign(
            FUZZERS=list(FUZZERS), TARGETS=["libpng"], PROGRAMS=None, REPEAT=2, TIMEOUT="10s", MAGMA=str(MAGMA)
        )
        cluster.start_dispatcher(campaign).await_output("begins: 4 jobs")
        workers = cluster.start_workers(MAGMA=str(MAGMA))
        ended = cluster.program().end(deadline=1500)
        assert ended.code == 0, ended.output
        found = read_workdir(cluster.workdir())
        assert sorted(found) == [f"{fuzzer}/libpng/libpng_read_fuzzer/{run}" for fuzzer in FUZZERS for run in range(2)]
        assert all(trial["reached"] for trial in found.values())
        assert any(trial["triggered"] for trial in found.values())
        for path in (cluster.workdir() / "trials").glob("*.json"):
            facts = json.loads(path.read_text())
            assert facts["terminated_at"] - facts["launched_at"] == pytest.approx(10, abs=2)
            assert facts["cpus"] in [[cpu] for cpu in CPUS]
        shares = [worker.output.count("starts on CPUs") for worker in workers]
        assert cluster.disturbed or all(shares), "each has its share"
        cluster.assert_nothing_is_left()
