"""What integration tests share: labs on the engine of this machine, ledgers, queues and WORKDIRs of one test."""

from __future__ import annotations

import gc
import shutil
import subprocess
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.sqlite import SqliteLedger
from tests.conftest import missing
from tests.support.processes.cluster import new_cluster
from tests.support.processes.quickrun import Lab, new_lab
from tests.support.servers.queue_labs import MemoryLab, RealLab
from tests.support.workdirs.arrival import Arrival, an_arrival
from tests.support.workdirs.finished import DONE, JOBS, proven
from tests.support.workdirs.merged import Merged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

    from magma_remote.ports import Queue
    from tests.support.processes.cluster import Cluster
    from tests.support.servers.queue_labs import QueueLab
    from tests.support.workdirs.finished import Proven

SHM = Path("/dev/shm")


@pytest.fixture
def lab(tmp_path: Path, docker_engine: DockerClient, base_image: str) -> Iterator[Lab]:
    """A lab of one test."""
    with new_lab(tmp_path, docker_engine) as lab:
        yield lab


@pytest.fixture(scope="module")
def shared_lab(
    tmp_path_factory: pytest.TempPathFactory,
    docker_engine: DockerClient,
    base_image: str,
) -> Iterator[Lab]:
    """A lab whose campaign several tests of a file look at."""
    with new_lab(tmp_path_factory.mktemp("lab"), docker_engine) as lab:
        yield lab


@pytest.fixture
def collected() -> Iterator[None]:
    """What a test leaves to the garbage collector is its own."""
    yield
    gc.collect()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger of a test is."""
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    """A new ledger."""
    with closing(SqliteLedger(path)) as opened:
        yield opened


@pytest.fixture(params=["beanstalkd", "memory"])
def queue_lab(request: pytest.FixtureRequest) -> Iterator[QueueLab]:
    """A queue's server and its processes: each test that asks for it runs on a real one and on one in memory."""
    real = request.param == "beanstalkd"
    lab: QueueLab = RealLab(request.getfixturevalue("beanstalkd")) if real else MemoryLab()
    yield lab
    lab.close()


@pytest.fixture
def queue(queue_lab: QueueLab) -> Queue:
    """A process's."""
    return queue_lab.queue()


@pytest.fixture
def other(queue_lab: QueueLab) -> Queue:
    """Another process's."""
    return queue_lab.queue()


@pytest.fixture
def cluster(tmp_path: Path, docker_engine: DockerClient, base_image: str) -> Iterator[Cluster]:
    """A cluster of one test."""
    if not shutil.which("beanstalkd"):
        missing("no beanstalkd")
    with new_cluster(tmp_path, docker_engine) as cluster:
        yield cluster


@pytest.fixture
def sound(tmp_path: Path, fast_disk: None) -> Iterator[Proven]:
    """A WORKDIR of a campaign that has ended, with all of its trials."""
    made = proven(tmp_path, jobs=JOBS[:DONE])
    with closing(made.ledger):
        made.finish(all_done=True)
        yield made
    subprocess.run(["rm", "-rf", made.workdir.root], check=True)  # pytest's own way ends at 1,000 folders in folders


@pytest.fixture
def arrival(tmp_path: Path) -> Arrival:
    """A result of one test on its way to WORKDIR."""
    return an_arrival(tmp_path, tmp_path)


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than `tmp_path`."""
    if SHM.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("/dev/shm and the tests' folder are one file system")
    with TemporaryDirectory(dir=SHM) as folder:
        yield Path(folder)


@pytest.fixture
def merged(tmp_path: Path) -> Merged:
    """A WORKDIR without any trial yet."""
    return Merged(tmp_path / "workdir")
