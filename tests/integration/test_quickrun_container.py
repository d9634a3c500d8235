"""Containers as the engine really runs them: flags, environment, CPUs, and where SHARED lives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.model.container import CAMPAIGN_LABEL, JOB_LABEL, WORKDIR_LABEL
from tests.support.processes.quickrun import CPUS, cache, entries, record

if TYPE_CHECKING:
    from tests.support.processes.command import Ended
    from tests.support.processes.quickrun import Lab

needs_two_cpus = pytest.mark.skipif(len(CPUS) < 2, reason="needs two CPUs")


def environment(container: Any) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in container.attrs["Config"]["Env"])


def file_system(path: Path) -> str:
    """Type of the file system that a path is on."""
    rows = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    types = {Path(row[1]): row[2] for row in rows}
    return next(types[parent] for parent in (path, *path.parents) if parent in types)


@pytest.fixture(scope="module")
def running(shared_lab: Lab) -> dict[str, Any]:
    """A container while its trial runs, with facts that are gone afterwards, and how the run ended."""
    campaign = shared_lab.campaign(
        FUZZERS=["steady"], PROGRAMS={"steady": ["digits"]}, FUZZARGS={"steady": "--bulk 1, 'a b' $HOME"}
    )
    quickrun = shared_lab.start(campaign)
    (container,) = shared_lab.await_running(1)
    shared = Path(container.attrs["Mounts"][0]["Source"])
    facts = {
        "container": container,
        "host": container.attrs["HostConfig"],
        "shared": shared,
        "mode": shared.stat().st_mode,
        "file_system": file_system(shared),
    }
    return facts | {"ended": quickrun.end()}


def test_flags(running: dict[str, Any]) -> None:
    host = running["host"]
    assert host["CapAdd"] == ["SYS_PTRACE"]
    assert host["SecurityOpt"] == ["seccomp=unconfined"]
    assert host["NetworkMode"] == "none"
    assert not host["Privileged"]
    assert host["CpusetCpus"] in {str(cpu) for cpu in CPUS}


def test_environment(running: dict[str, Any]) -> None:
    values = environment(running["container"])
    expected = {
        "PROGRAM": "digits",
        "ARGS": "--digits @@",
        "FUZZARGS": "--bulk 1, 'a b' $HOME",
        "POLL": "1",
        "TIMEOUT": "2s",
        "AFFINITY": running["host"]["CpusetCpus"],
    }
    assert {name: values.get(name) for name in expected} == expected


def test_labels_find_the_owner(running: dict[str, Any], shared_lab: Lab) -> None:
    labels = running["container"].labels
    assert labels[WORKDIR_LABEL] == str(shared_lab.workdir())
    assert labels[JOB_LABEL] == "0,steady,toy,digits --digits @@,--bulk 1, 'a b' $HOME"
    assert labels[CAMPAIGN_LABEL]


def test_shared_is_one_mount_that_all_may_write(running: dict[str, Any]) -> None:
    (mount,) = running["container"].attrs["Mounts"]
    assert (mount["Type"], mount["Destination"], mount["RW"]) == ("bind", "/magma_shared", True)
    assert running["mode"] & 0o777 == 0o777


def test_shared_is_in_memory_and_gone_afterwards(running: dict[str, Any]) -> None:
    assert running["file_system"] == "tmpfs"
    assert not running["shared"].exists()


def test_the_run_is_complete(running: dict[str, Any], shared_lab: Lab) -> None:
    ended: Ended = running["ended"]
    assert ended.code == 0, ended.output
    assert entries(shared_lab.workdir()) == ["steady/toy/digits/0"]


def test_cache_on_disk(lab: Lab) -> None:
    quickrun = lab.start(lab.campaign(CACHE_ON_DISK=True))
    (container,) = lab.await_running(1)
    shared = Path(container.attrs["Mounts"][0]["Source"])
    assert shared.is_relative_to(lab.workdir())
    assert shared.stat().st_mode & 0o777 == 0o777
    assert not cache(lab.workdir()).exists()
    ended = quickrun.end()
    assert ended.code == 0, ended.output
    assert not shared.exists()
    assert entries(lab.workdir()) == ["steady/toy/letters/0"]


@needs_two_cpus
def test_each_trial_has_a_cpu_of_its_own(lab: Lab) -> None:
    quickrun = lab.start(lab.campaign(REPEAT=2))
    containers = lab.await_running(2)
    assert sorted(container.attrs["HostConfig"]["CpusetCpus"] for container in containers) == list(map(str, CPUS))
    assert quickrun.end().code == 0


def test_pool_of_one_cpu_runs_one_after_another(lab: Lab) -> None:
    ended = lab.run(lab.campaign(REPEAT=2, TIMEOUT="1s", WORKER_POOL=CPUS[-1:]))
    assert ended.code == 0, ended.output
    first, second = (record(lab.workdir(), f"steady,toy,letters,{run}") for run in (0, 1))
    assert first["cpus"] == second["cpus"] == CPUS[-1:]
    assert first["terminated_at"] <= second["started_at"]


@needs_two_cpus
def test_wide_trials_get_both_cpus(lab: Lab) -> None:
    quickrun = lab.start(lab.campaign(REPEAT=2, TIMEOUT="1s", FUZZER_CAMPAIGN_WORKERS={"steady": 2}))
    container = lab.await_running(1)[0]
    both = ",".join(map(str, CPUS))
    assert container.attrs["HostConfig"]["CpusetCpus"] == both
    assert environment(container)["AFFINITY"] == both
    ended = quickrun.end()
    assert ended.code == 0, ended.output
    first, second = (record(lab.workdir(), f"steady,toy,letters,{run}") for run in (0, 1))
    assert first["terminated_at"] <= second["started_at"]
