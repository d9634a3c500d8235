"""The lab alone: what it starts, what may happen to a host, and that nothing of it stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.lab.lab import Lab, command, environment, new_lab, run
from tests.support.places import ROOT
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(1200)  # the hosts' image is built here where no test before has built it

HOSTS = ("dispatcher1", "worker1")
CGROUPS = Path("/sys/fs/cgroup")


@pytest.fixture(scope="module")
def small(lab_can_run: None, lab_name: str) -> Iterator[Lab]:
    """A lab of its own: the smallest there is."""
    del lab_can_run
    with new_lab(f"{lab_name}-small", ("--workers", "1")) as found:
        yield found


@pytest.fixture
def bare(lab_can_run: None, lab_name: str) -> Iterator[Lab]:
    """A lab that is not up, and is taken down afterwards."""
    del lab_can_run
    name = f"{lab_name}-bare"
    command(name, "down")
    yield Lab(name=name)
    command(name, "down")


def start(lab: Lab) -> subprocess.Popen[bytes]:
    """Call `up` and go on; the hosts' image is there, so that it soon has hosts."""
    lab.objects.build_image()
    argv = ["env", "--default-signal=INT", sys.executable, "-m", "scripts.lab", "--name", lab.name, "up"]
    return subprocess.Popen(argv, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, start_new_session=True)


def assert_nothing_is_left(lab: Lab) -> None:
    assert lab.objects.found() == []
    assert lab.objects.networks() == []
    assert lab.objects.volumes() == []
    assert not [path for path in lab.state.files() if path.exists()]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_is_a_systemd_host_that_ssh_gets_into(small: Lab, host: str) -> None:
    assert small.ssh(host, "systemctl is-system-running").text == "running\n"
    assert small.ssh(host, "hostname; sudo -n id -un").text.split() == [host, "root"]
    assert small.ssh(host, "systemd-detect-virt --container").text == "docker\n"


def test_hosts_are_not_each_others_copies(small: Lab) -> None:
    for file in ("/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub"):
        assert len({small.run(host, "cat", file).text for host in HOSTS}) == len(HOSTS), file


def test_ansible_uses_the_inventory(small: Lab) -> None:
    ansible = str(ROOT / ".venv" / "bin" / "ansible")
    hosts = run(ansible, "workers", "-i", str(small.state.inventory), "--list-hosts").text
    assert hosts.split() == ["hosts", "(1):", "worker1"]
    done = run(ansible, "all", "-i", str(small.state.inventory), "-m", "ansible.builtin.command", "-a", "id -un")
    assert done.text.count("root") == len(HOSTS)
    assert "WARNING" not in done.output


def test_a_worker_has_its_cpus_alone(small: Lab) -> None:
    assert small.run("worker1", "nproc").text == f"{len(os.sched_getaffinity(0))}\n"
    assert small.run("worker1", "df", "--output=size", "-BM", "/dev/shm").text.split()[-1] == "1024M"


def test_a_host_cannot_change_the_machines_kernel(small: Lab) -> None:
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    done = small.shell("worker1", "echo lab >/proc/sys/kernel/core_pattern")
    assert done.code != 0
    assert "Read-only" in done.output
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before


def test_up_again_says_that_it_is_up(small: Lab) -> None:
    assert "is up already" in command(small.name, "up", "--workers", "1")


def test_up_with_other_settings_is_refused(small: Lab) -> None:
    done = run(sys.executable, "-m", "scripts.lab", "--name", small.name, "up", "--workers", "1", "--stranger")
    assert done.code == 1
    assert "other settings" in done.output


def test_a_host_keeps_its_disks_over_a_power_cut(small: Lab) -> None:
    script = "echo kept >/var/lib/kept; echo kept >/var/lib/docker/kept; echo gone >/run/gone; echo gone >/dev/shm/gone"
    assert small.shell("worker1", script).code == 0
    small.fault("power-off", "worker1")
    assert "off" in command(small.name, "status") or "exited" in command(small.name, "status")
    small.fault("power-on", "worker1")
    assert small.ssh("worker1", "cat /var/lib/kept; sudo cat /var/lib/docker/kept").text.split() == ["kept", "kept"]
    assert small.ssh("worker1", "ls /run/gone /dev/shm/gone").code != 0


@pytest.mark.parametrize(("fault", "remedy"), [("cut", "mend"), ("pause", "unpause")])
def test_a_host_falls_silent_and_comes_back(small: Lab, fault: str, remedy: str) -> None:
    small.fault(fault, "worker1")
    try:
        ansible = str(ROOT / ".venv" / "bin" / "ansible")
        options = ("-i", str(small.state.inventory), "-m", "ansible.builtin.ping", "-T", "3")
        assert "UNREACHABLE" in run(ansible, "worker1", *options).output
    finally:
        small.fault(remedy, "worker1")
    assert small.ssh("worker1", "true").code == 0


def test_a_fault_of_a_host_that_is_not_there_names_those_that_are(small: Lab) -> None:
    done = run(sys.executable, "-m", "scripts.lab", "--name", small.name, "cut", "worker9")
    assert done.code == 1
    assert "dispatcher1, worker1" in done.output


def test_down_leaves_nothing(bare: Lab) -> None:
    command(bare.name, "up", "--workers", "1", "--stranger")
    names = [found.name for found in bare.objects.found()]
    facts = json.loads(run("docker", "inspect", *names).text)
    volumes = {mount["Name"] for fact in facts for mount in fact["Mounts"] if mount["Type"] == "volume"}
    assert len(volumes) == len(names) == 3
    assert "stranger" in command(bare.name, "down")
    assert_nothing_is_left(bare)
    assert not volumes & set(run("docker", "volume", "ls", "--quiet").text.split())
    groups = {path.name for pattern in ("*/docker/*", "system.slice/docker-*") for path in CGROUPS.glob(pattern)}
    assert not [fact["Id"] for fact in facts if any(fact["Id"] in group for group in groups)]
    assert "nothing of it is there" in command(bare.name, "down")


def test_ctrl_c_leaves_nothing(bare: Lab) -> None:
    with start(bare) as process:
        until(lambda: len(bare.objects.found()) > 0)
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 130
    assert_nothing_is_left(bare)


def test_what_a_killed_up_leaves_is_named_and_taken_down(bare: Lab) -> None:
    with start(bare) as process:
        until(lambda: len(bare.objects.found()) > 0)
        process.kill()
        process.wait()
    done = run(sys.executable, "-m", "scripts.lab", "--name", bare.name, "up")
    assert done.code == 1
    assert "Call down, then up again" in done.output
    command(bare.name, "down")
    assert_nothing_is_left(bare)
