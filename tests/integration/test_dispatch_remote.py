"""A worker on what looks like another machine: its folders are hidden from the dispatcher, results come over ssh."""

from __future__ import annotations

import getpass
import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.support.processes.quickrun import CPUS
from tests.support.servers.sshd import ssh_server
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.processes.cluster import Cluster

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system over the worker's folders")

_HIDE = 'mount -t tmpfs hidden "$0" && exec "$@"'  # for all that the dispatcher starts, and for nobody else


@pytest.mark.parametrize("copy_type", ["rsync", "scp"])
def test_results_come_over_ssh(cluster: Cluster, copy_type: str) -> None:
    hidden = cluster.workdirs("far")
    keys = cluster.folder / "ssh"
    keys.mkdir()
    with ssh_server(keys) as server:
        worker = cluster.start_worker("far", CPUS[0], SSH_PORT=server.port, SSH_USER=getpass.getuser())
        until((hidden / "worker.json").exists)
        cluster.start_dispatcher(
            cluster.campaign(FUZZERS=["finds"], REPEAT=2, POC_EXTRACT=True),
            before=("unshare", "--mount", "sh", "-c", _HIDE, str(hidden)),
            COPY_TYPE=copy_type,
            SSH_KEY=str(server.key),
            SSH_KNOWN_HOSTS=str(server.known_hosts),
        )
        ended = cluster.wait_for_end()
        log = server.log.read_text()
    assert ended.code == 0, ended.output
    assert log.count("Accepted publickey") >= 1
    assert cluster.entries() == ["finds/toy/letters/0", "finds/toy/letters/1"]
    assert any("TOY001" in path.name for path in (cluster.workdir() / "poc").iterdir())
    until(lambda: not cluster.run_folders("far"))
    assert worker.output.count(": complete") == 2
    cluster.assert_nothing_is_left()


def test_a_result_waits_for_an_ssh_server_that_stands_still(cluster: Cluster) -> None:
    hidden = cluster.workdirs("far")
    keys = cluster.folder / "ssh"
    keys.mkdir()
    with ssh_server(keys) as server:
        worker = cluster.start_worker("far", CPUS[0], SSH_PORT=server.port, SSH_USER=getpass.getuser())
        until((hidden / "worker.json").exists)
        with server.frozen():
            cluster.start_dispatcher(
                cluster.campaign(REPEAT=1),
                before=("unshare", "--mount", "sh", "-c", _HIDE, str(hidden)),
                SSH_KEY=str(server.key),
                SSH_KNOWN_HOSTS=str(server.known_hosts),
            )
            until(lambda: cluster.status().get("unfetched") == 1)
            assert len(cluster.run_folders("far")) == 1
        ended = cluster.wait_for_end()
    assert ended.code == 0, ended.output
    assert worker.output.count("starts on CPUs") == 1
    jobs = json.loads(cluster.call("graveyard list", "--json").output)["jobs"]
    assert jobs == []
