"""The life of a cluster on the lab, in this order: deploy, a campaign with everything that happens to it, teardown.

The tests share one lab and build on each other, because a deploy and its images take minutes.
"""

from __future__ import annotations

import csv
import json
import re
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.support.lab.campaign import TRIAL, TRIAL_SECONDS, TRIALS, Campaign, count, runs_on, status
from tests.support.lab.host import AFTERMATH, Look, connects, listening, look, starts
from tests.support.lab.lab import DISPATCHER, STRANGER, WORKERS, Lab, wait_for
from tests.support.lab.thief import Thief
from tests.support.workdirs.magma_reader import read_workdir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(1500)  # a deploy downloads packages, and the first campaign builds its image

FIRST, SECOND = WORKERS
HOSTS = (DISPATCHER, *WORKERS)
SERVICES = {
    DISPATCHER: ("magma-queue", "magma-registry", "magma-dispatcher"),
    FIRST: ("magma-link", "magma-worker"),
    SECOND: ("magma-link", "magma-worker"),
}
WORKDIRS = "/var/lib/magma-remote/worker/workdirs"
CAMPAIGNS = "/var/lib/magma-remote/campaigns"
LONG = 300.0  # seconds for what takes one minute where the machine is not busy


@pytest.fixture(scope="module")
def untouched(lab: Lab) -> dict[str, Look]:
    """The hosts before the first deploy."""
    return {host: look(lab, host, by_content=True, without=AFTERMATH) for host in HOSTS}


@pytest.fixture(scope="module")
def deployed(lab: Lab, untouched: dict[str, Look]) -> Lab:
    """The lab with the dispatcher and the first worker deployed."""
    assert untouched
    lab.play("deploy.yml", "--limit", f"{DISPATCHER},{FIRST}").assert_ok()
    return lab


@pytest.fixture(scope="module")
def campaign(deployed: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """A campaign of which the first worker has begun a trial."""
    found = Campaign(deployed, tmp_path_factory.mktemp("campaign"), hosts=(DISPATCHER, FIRST))
    try:
        wait_for(lambda: runs_on(deployed, FIRST) or found.process.poll() is not None, 900)
        assert found.process.poll() is None, found.output
        yield found
    finally:
        if found.process.poll() is None:
            found.process.kill()
            found.process.wait()


def test_check_changes_nothing_on_fresh_hosts(lab: Lab, untouched: dict[str, Look]) -> None:
    assert untouched
    before = {host: look(lab, host) for host in HOSTS}
    played = lab.play("deploy.yml", "--check", "--diff").assert_ok()
    assert set(played.changed) == set(HOSTS), "it says what it would change"
    changed = {host: look(lab, host).differences(before[host]) for host in HOSTS}
    assert not any(changed.values()), json.dumps(changed, indent=1)


def test_deploy_starts_the_services(deployed: Lab) -> None:
    for host in (DISPATCHER, FIRST):
        wanted = [name for name in SERVICES[host] if name != "magma-dispatcher"]  # it has no campaign yet
        assert deployed.run(host, "systemctl", "is-active", *wanted).text.split() == ["active"] * len(wanted)
        assert deployed.run(host, "systemctl", "is-system-running").output.strip() == "running"


def test_a_second_deploy_changes_nothing(deployed: Lab) -> None:
    before = {host: starts(deployed, host, SERVICES[host]) for host in (DISPATCHER, FIRST)}
    deployed.play("deploy.yml", "--limit", f"{DISPATCHER},{FIRST}").assert_unchanged()
    assert {host: starts(deployed, host, SERVICES[host]) for host in before} == before


def test_check_changes_nothing_on_deployed_hosts(deployed: Lab) -> None:
    before = {host: look(deployed, host) for host in (DISPATCHER, FIRST)}
    deployed.play("deploy.yml", "--check", "--diff", "--limit", f"{DISPATCHER},{FIRST}").assert_unchanged()
    changed = {host: look(deployed, host).differences(before[host]) for host in before}
    assert not any(changed.values()), json.dumps(changed, indent=1)


def test_a_stranger_reaches_nothing_but_ssh(deployed: Lab) -> None:
    ports = {host: listening(deployed, host) | {22, 2375, 5000, 11300} for host in (DISPATCHER, FIRST)}
    assert 5000 in listening(deployed, DISPATCHER), "the registry listens where only the host itself reaches it"
    places = {(deployed.address(host), port) for host in ports for port in ports[host]}
    assert connects(deployed, STRANGER, places) == {(deployed.address(host), 22) for host in ports}


@pytest.fixture
def link(deployed: Lab) -> Thief:
    """A worker's key, with which its tunnel is made."""
    key = "/etc/magma-remote/ssh/link_key"
    return Thief(lab=deployed, host=FIRST, key=key, user="magma-link", target=DISPATCHER)


@pytest.fixture
def fetch(deployed: Lab) -> Thief:
    """The dispatcher's key, with which it fetches results."""
    key = "/etc/magma-remote/ssh/fetch_key"
    return Thief(lab=deployed, host=DISPATCHER, key=key, user="magma-remote", target=FIRST)


def test_the_links_key_reaches_queue_and_registry(link: Thief) -> None:
    assert "200 OK" in link.typed("GET /v2/ HTTP/1.0\\r\\n\\r\\n", "-W", "127.0.0.1:5000").output
    assert "answer: b'OK" in link.through_socket("/queue/queue.sock", "stats\\r\\n").output


@pytest.mark.parametrize("which", ["link", "fetch"])
@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("id",), id="command"),
        pytest.param(("sh", "-c", "id"), id="shell"),
        pytest.param(("-tt", "id"), id="terminal"),
        pytest.param(("-s", "sftp"), id="sftp"),
        pytest.param(("-s", "id"), id="subsystem"),
    ],
)
def test_a_key_runs_nothing(which: str, words: tuple[str, ...], request: pytest.FixtureRequest) -> None:
    thief: Thief = request.getfixturevalue(which)
    options = tuple(word for word in words if word.startswith("-") and word != "-c")
    done = thief.ssh(*(word for word in words if word not in options), options=options)
    assert done.code != 0
    assert "uid=" not in done.output


@pytest.mark.parametrize("which", ["link", "fetch"])
def test_a_key_gets_no_login(which: str, request: pytest.FixtureRequest) -> None:
    thief: Thief = request.getfixturevalue(which)
    done = thief.typed("id\\nexit\\n", "-tt")
    assert done.code != 0
    assert "uid=" not in done.output


@pytest.mark.parametrize("which", ["link", "fetch"])
@pytest.mark.parametrize("port", [22, 11300, 2375])
def test_a_key_forwards_to_no_other_port(which: str, port: int, request: pytest.FixtureRequest) -> None:
    thief: Thief = request.getfixturevalue(which)
    for address in ("127.0.0.1", "localhost", thief.lab.address(SECOND)):
        done = thief.typed("", "-W", f"{address}:{port}")
        assert done.code != 0
        assert "SSH-" not in done.output
        assert "prohibited" in done.output, "it is refused, and not only closed over there"


@pytest.mark.parametrize("which", ["link", "fetch"])
@pytest.mark.parametrize("path", ["/run/dbus/system_bus_socket", "/var/run/docker.sock"])
def test_a_key_forwards_to_no_other_socket(which: str, path: str, request: pytest.FixtureRequest) -> None:
    thief: Thief = request.getfixturevalue(which)
    sent = "\\0AUTH\\r\\n" if "dbus" in path else "GET /version HTTP/1.0\\r\\n\\r\\n"
    output = thief.through_socket(path, sent).output
    assert "answer: b''" in output or "error:" in output


@pytest.mark.parametrize("which", ["link", "fetch"])
@pytest.mark.parametrize("end", ["127.0.0.1:7777", "/tmp/end"])
def test_a_key_opens_nothing_over_there(which: str, end: str, request: pytest.FixtureRequest) -> None:
    thief: Thief = request.getfixturevalue(which)
    done = thief.ssh(options=("-N", "-o", "ExitOnForwardFailure=yes", "-R", f"{end}:127.0.0.1:22"))
    assert done.code != 0
    assert "forwarding failed" in done.output


def test_the_fetch_key_reads_results_and_nothing_else(fetch: Thief) -> None:
    lab, link, got = fetch.lab, f"{WORKDIRS}/link", "/tmp/stolen"
    assert lab.run(FIRST, "ln", "-sfn", "/etc/passwd", link).code == 0
    try:
        assert fetch.rsync("-a", f"HOST:{WORKDIRS}/", got).code == 0
        assert lab.run(DISPATCHER, "readlink", f"{got}/link").text == "/etc/passwd\n"
        assert lab.run(DISPATCHER, "rm", "-r", got).code == 0
        outside = ("/etc/passwd", f"{WORKDIRS}/../../../../../etc/passwd", "../../../../../../etc/passwd", "/", "./")
        for words in (
            *(("-r", f"HOST:{path}") for path in outside),
            ("-L", f"HOST:{link}"),
            ("-Lr", f"HOST:{WORKDIRS}/"),
        ):
            fetch.rsync(*words, got)
            assert "root:x:0:0" not in lab.shell(DISPATCHER, f"cat {got} {got}/passwd {got}/link").output, words
    finally:
        lab.run(FIRST, "rm", "-f", link)
        lab.run(DISPATCHER, "rm", "-rf", got)


def test_the_fetch_key_writes_nothing(fetch: Thief) -> None:
    lab, kept = fetch.lab, f"{WORKDIRS}/kept"
    assert lab.run(FIRST, "touch", kept).code == 0
    try:
        before = lab.run(FIRST, "ls", "-A", WORKDIRS, "/tmp").text
        for place in ("HOST:./", f"HOST:{WORKDIRS}/", "HOST:/tmp/"):
            assert fetch.rsync("/etc/hostname", place).code != 0, place
            assert fetch.rsync("-r", "--remove-source-files", place, "/tmp/taken/").code != 0, place
        assert lab.run(FIRST, "ls", "-A", WORKDIRS, "/tmp").text == before
    finally:
        lab.run(FIRST, "rm", "-f", kept)
        lab.run(DISPATCHER, "rm", "-rf", "/tmp/taken")


def test_a_worker_that_is_added_takes_jobs(campaign: Campaign, deployed: Lab) -> None:
    wait_for(lambda: count(deployed, "done") > 0, LONG)
    assert (
        deployed.run(FIRST, "systemctl", "stop", "magma-worker").code == 0
    )  # so that jobs are left, however long a deploy takes
    played = deployed.play("deploy.yml", "--limit", SECOND).assert_ok()
    assert set(played.changed) <= {SECOND, DISPATCHER}
    wait_for(lambda: runs_on(deployed, SECOND) or campaign.process.poll() is not None, LONG)
    assert campaign.process.poll() is None, campaign.output


def test_a_worker_that_loses_its_power_loses_nothing(campaign: Campaign, deployed: Lab) -> None:
    wait_for(lambda: runs_on(deployed, SECOND), LONG)
    deployed.fault("power-off", SECOND)
    assert deployed.run(FIRST, "systemctl", "start", "magma-worker").code == 0
    assert campaign.end() == 0, campaign.output
    assert f"All {TRIALS} trials are complete" in campaign.output.replace("\n", " ")


def test_a_worker_comes_back_by_itself(campaign: Campaign, deployed: Lab) -> None:
    assert campaign.process.poll() == 0
    deployed.fault("power-on", SECOND)
    wait_for(lambda: deployed.run(SECOND, "systemctl", "is-active", *SERVICES[SECOND]).code == 0, LONG)
    # what the power cut left there is in nobody's way: others ran that trial
    wait_for(lambda: not deployed.shell(SECOND, f"ls -d {WORKDIRS}/workdir_*").output.startswith("/"), LONG)


def test_collect_brings_all_of_it(campaign: Campaign, deployed: Lab, tmp_path: Path) -> None:
    assert campaign.process.poll() == 0
    deployed.play("collect.yml", "-e", f"collect_dest={tmp_path}").assert_ok()
    deployed.play("collect.yml", "-e", f"collect_dest={tmp_path}").assert_unchanged()
    (workdir,) = {path.parent for path in tmp_path.rglob("ar")}
    found = read_workdir(workdir)
    assert sorted(found) == [f"{TRIAL}/{number}" for number in range(TRIALS)]
    assert all(trial["reached"] for trial in found.values())
    for number in range(TRIALS):
        with tarfile.open(workdir / "ar" / TRIAL / str(number) / "ball.tar") as ball:
            names = ball.getnames()
        assert {"./monitor", "./findings"} <= set(names)
    records = [json.loads(path.read_text()) for path in (workdir / "trials").glob("*.json")]
    assert len(records) == TRIALS
    for record in records:
        assert record["reason"] is None
        assert record["terminated_at"] - record["launched_at"] == pytest.approx(TRIAL_SECONDS, abs=2)


def test_collect_reports_without_a_copy(campaign: Campaign, deployed: Lab, tmp_path: Path) -> None:
    assert campaign.process.poll() == 0
    played = deployed.play("collect.yml", "-e", f"collect_reports={tmp_path}").assert_ok()
    folder = tmp_path / campaign.name
    assert f"Complete: all {TRIALS} trials are here" in (folder / "report.html").read_text(encoding="utf-8")
    assert f"{TRIALS} of {TRIALS} trials, 0 missing. Page: {folder}/report.html" in played.output
    assert re.search(rf"Verified: \d+ files of {TRIALS} trials are as they were written", played.output)
    with (folder / "data" / "trials.csv").open(encoding="utf-8", newline="") as stream:
        assert {row["host"] for row in csv.DictReader(stream)} <= {deployed.hostname(worker) for worker in WORKERS}
    deployed.play("collect.yml", "-e", f"collect_reports={tmp_path}").assert_unchanged()


def test_what_could_not_be_compared_is_refused(campaign: Campaign, deployed: Lab) -> None:
    assert campaign.process.poll() == 0
    campaign.write(repeat=TRIALS + 1, seconds=2 * TRIAL_SECONDS)
    played = campaign.extend()
    assert played.code != 0
    assert f"TIMEOUT was {TRIAL_SECONDS} s, is {2 * TRIAL_SECONDS} s" in " ".join(played.output.split())
    assert count(deployed, "done") == sum(status(deployed)["counts"].values()) == TRIALS


def test_a_campaign_is_extended_by_what_is_not_there_yet(campaign: Campaign, deployed: Lab, tmp_path: Path) -> None:
    before = deployed.shell(DISPATCHER, f"cd {CAMPAIGNS} && sha256sum */workdir/ar/{TRIAL}/*/ball.tar").text
    campaign.write(repeat=TRIALS + 1)
    campaign.extend().assert_ok()
    assert count(deployed, "done") == sum(status(deployed)["counts"].values()) == TRIALS + 1
    after = deployed.shell(DISPATCHER, f"cd {CAMPAIGNS} && sha256sum */workdir/ar/{TRIAL}/*/ball.tar").text
    assert set(before.splitlines()) < set(after.splitlines())
    assert len(after.splitlines()) == TRIALS + 1
    played = deployed.play("collect.yml", "-e", f"collect_dest={tmp_path}", "-e", "require_complete=true").assert_ok()
    assert f"{TRIALS + 1} of {TRIALS + 1} trials, 0 missing" in played.output
    (edition,) = json.loads((tmp_path / campaign.name / "manifest.json").read_bytes())["campaign"]["editions"]
    assert edition["jobs"] == TRIALS
    campaign.extend().assert_unchanged()


def test_the_second_worker_builds_no_image(campaign: Campaign, deployed: Lab) -> None:
    assert campaign.process.poll() == 0
    for worker in WORKERS:
        digests = deployed.run(worker, "docker", "image", "ls", "--digests", "--format", "{{.Digest}}").text.split()
        assert digests
        assert "<none>" not in digests, "each image was pulled by its digest"


def test_teardown_leaves_the_results_and_then_nothing(deployed: Lab, untouched: dict[str, Look]) -> None:
    deployed.play("playbooks/teardown.yml").assert_ok()
    assert "ball.tar" in deployed.shell(DISPATCHER, f"find {CAMPAIGNS} -name ball.tar").text
    deployed.play("playbooks/teardown.yml", "-e", "remove_results=true").assert_ok()
    after = {host: look(deployed, host, by_content=True, without=AFTERMATH) for host in HOSTS}
    left = {host: after[host].differences(untouched[host]) for host in HOSTS}
    assert not any(left.values()), json.dumps(left, indent=1)
