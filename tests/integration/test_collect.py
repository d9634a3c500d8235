"""`magma-remote collect`, as a user calls it: over real ssh, beside a real dispatcher, on what workers left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters import claims
from magma_remote.model.entries import CampaignState, JobState
from magma_remote.model.layout import Workdir
from magma_remote.model.outcome import Reason
from magma_remote.runtime.collecting.handing import PATIENCE
from tests.support.commands import call, refused
from tests.support.pids import descendants, name_of
from tests.support.processes.command import COMMAND
from tests.support.processes.quickrun import make_tree
from tests.support.servers.ports import LOOPBACK, free_port
from tests.support.waiting import until
from tests.support.workdirs.leftovers import CONFIG, Host, Worker, far
from tests.support.workdirs.result import contents

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers.beanstalkd import Beanstalkd


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.chdir(tmp_path)
    host = Host(folder=tmp_path)
    host.settings()
    return host


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    worker = Worker(workdirs=tmp_path / "workdirs", token="aa")
    worker.open()
    return worker


@pytest.mark.parametrize("how", ["rrsync", "rsync", "scp"])
def test_what_nobody_told_of_comes_over_ssh(host: Host, worker: Worker, how: str) -> None:
    jobs = host.begin(2)
    sources = [worker.result(number, job) for number, job in enumerate(jobs)]
    copy_type = "scp" if how == "scp" else "rsync"
    with far(worker, host, only_rrsync=how == "rrsync", COPY_TYPE=copy_type) as (name, server):
        found = host.collect(name)
        assert server.log.read_text().count("Accepted publickey") == 3
        before, known = contents(host.workdir / "ar"), host.known()
        again = host.collect(name)
    assert (found["total"], found["complete"], found["missing"]) == (2, 2, [])
    assert found["fetched"] == [f"{CONFIG},{job}" for job in jobs]
    assert host.states() == [JobState.DONE, JobState.DONE]
    for job, source in zip(jobs, sources, strict=True):
        entry = Workdir(host.workdir).entry(job)
        assert contents(entry) == contents(source / entry.relative_to(host.workdir))
    assert not (host.folder / "temp").exists()
    assert again == found | {"fetched": []}
    assert (before, known) == (contents(host.workdir / "ar"), host.known())


def test_a_worker_that_the_ledger_knows_is_looked_at(host: Host, worker: Worker) -> None:
    jobs = host.begin(3)
    worker.result(0, jobs[0])
    host.collect(f"nobody@{LOOPBACK}:{worker.workdirs}", code=1)
    worker.result(1, jobs[1])
    found = host.collect(code=1)
    assert found["fetched"] == [f"{CONFIG},{jobs[1]}"]
    (gap,) = found["missing"]
    assert (gap["job"], gap["reason"]) == (f"{CONFIG},{jobs[2]}", "waiting")
    assert found["groups"] == [{"fuzzer": "afl", "target": "libpng", "program": "readpng", "complete": 2, "total": 3}]
    assert (found["state"], found["ended"], found["workdir"]) == ("open", False, str(host.workdir))


def test_what_came_altered_is_named_and_changes_nothing(host: Host, worker: Worker) -> None:
    jobs = host.begin(2)
    (worker.result(0, jobs[0]) / "log" / "afl_libpng_build_10.0.0.1.log").write_text("altered")
    worker.result(1, jobs[1])
    with far(worker, host) as (name, _):
        before = host.known()[1][0]
        found = host.collect(name, code=1)
        again = host.collect(name, code=1)
    (gap,) = found["missing"]
    assert (gap["job"], gap["reason"]) == (f"{CONFIG},{jobs[0]}", "corrupt")
    assert "afl_libpng_build_10.0.0.1.log" in gap["message"]
    assert found["fetched"] == [f"{CONFIG},{jobs[1]}"]
    assert host.known()[1][0] == before
    assert not Workdir(host.workdir).entry(jobs[0]).exists()
    assert (again["fetched"], again["complete"], len(again["missing"])) == ([], 1, 1)


def test_a_worker_that_is_not_there_stops_nobody(host: Host, worker: Worker) -> None:
    jobs = host.begin(2)
    worker.result(0, jobs[0])
    port = free_port()
    gone = f"magma@{LOOPBACK}:{port}:/srv/workdirs"
    result = call("collect", "--worker", gone, "--worker", f"nobody@{LOOPBACK}:{worker.workdirs}", code=1)
    assert "Connection refused" in result.stderr
    assert "1 result left there, fetching 1 of 1 …" in result.stderr
    assert f"Not reached: {LOOPBACK} port {port}." in result.stdout
    assert "afl     libpng  readpng  1 of 2    partial" in result.stdout
    assert "  afl/libpng/readpng #1: waiting: waits for a worker" in result.stdout
    assert host.collect(gone, code=1)["unreachable"][0]["worker"] == f"{LOOPBACK} port {port}"


@pytest.mark.parametrize(
    ("lost", "ended_at", "said"),
    [
        pytest.param(True, None, "it is lost, and has never told", id="lost"),
        pytest.param(True, 9.0, "it is lost, and has never told", id="lost before the end"),
        pytest.param(
            False, None, "it may have results that no dispatcher has heard of", id="the dispatcher went first"
        ),
        pytest.param(False, 9.0, "", id="there at the end"),
    ],
)
def test_a_worker_that_never_told_of_a_result_is_named(
    host: Host, *, lost: bool, ended_at: float | None, said: str
) -> None:
    host.begin(1, ended_at=ended_at)
    host.hear("aa", lost=lost)
    unreachable = host.collect(code=1)["unreachable"]
    assert [(each["worker"], said in each["message"]) for each in unreachable] == ([("w-aa", True)] if said else [])


def test_what_somebody_removed_from_workdir_is_named_or_comes_back(host: Host, worker: Worker) -> None:
    jobs = host.begin(2)
    sources = [worker.result(number, job) for number, job in enumerate(jobs)]
    here = f"nobody@{LOOPBACK}:{worker.workdirs}"
    host.collect(here)
    worker.mark(0).unlink()
    for job in jobs:
        shutil.rmtree(Workdir(host.workdir).entry(job))
    found = host.collect(here, code=1)
    (gap,) = found["missing"]
    assert (gap["job"], gap["reason"]) == (f"{CONFIG},{jobs[0]}", "gone")
    assert f"{Workdir(host.workdir).entry(jobs[0])} is gone" in gap["message"]
    assert found["fetched"] == [f"{CONFIG},{jobs[1]}"]
    entry = Workdir(host.workdir).entry(jobs[1])
    assert contents(entry) == contents(sources[1] / entry.relative_to(host.workdir))


def test_a_result_that_was_lost_for_good_is_made_again(host: Host, worker: Worker) -> None:
    jobs = host.begin(2, state=CampaignState.ENDED, ended_at=9.0)
    first = [worker.result(number, job) for number, job in enumerate(jobs)]
    here = f"nobody@{LOOPBACK}:{worker.workdirs}"
    host.collect(here)
    for number, folder in enumerate(first):
        worker.mark(number).unlink()
        shutil.rmtree(folder)
    workdir = Workdir(host.workdir)
    shutil.rmtree(workdir.entry(jobs[0]))
    (gap,) = host.collect(here, code=1)["missing"]
    assert "from a copy of WORKDIR, or `magma-remote graveyard requeue 0` lets it run again" in gap["message"]

    there = call("graveyard", "requeue", "1", code=1).stderr
    assert f"it is done, and {workdir.entry(jobs[1])} is there: move it out of WORKDIR first" in there
    assert "The campaign had ended" in call("graveyard", "requeue", "0").stdout
    assert _wrongs(host) == [("missing", "ar/afl/libpng/readpng/0")], "manifest.json still tells of the one before"
    (gap,) = host.collect(here, code=1)["missing"]
    assert (gap["job"], gap["reason"]) == (f"{CONFIG},{jobs[0]}", "waiting")
    assert _wrongs(host) == [("missing", "ar/afl/libpng/readpng/0")]

    another = Worker(workdirs=host.folder / "others", token="bb")
    another.open()
    source = another.result(0, jobs[0])
    found = host.collect(f"nobody@{LOOPBACK}:{another.workdirs}")
    assert (found["complete"], found["fetched"]) == (2, [f"{CONFIG},{jobs[0]}"])
    entry = workdir.entry(jobs[0])
    assert contents(entry) == contents(source / entry.relative_to(host.workdir))
    assert _wrongs(host, code=0) == []


def _wrongs(host: Host, *, code: int = 1) -> list[tuple[str, str]]:
    verified = json.loads(call("verify", "--json", str(host.workdir), code=code).stdout)
    # whose build log of the two stands there is chance: these results have one each, under one name
    return [(one["fault"], one["path"]) for one in verified["wrong"] if "_build_" not in one["path"]]


@pytest.mark.parametrize("what", ["ar", "record", "link"])
def test_what_a_requeue_of_a_done_job_asks_for(host: Host, worker: Worker, what: str) -> None:
    (job,) = host.begin(1)
    worker.result(0, job)
    host.collect(f"nobody@{LOOPBACK}:{worker.workdirs}")
    workdir = Workdir(host.workdir)
    path = {"ar": workdir.ar, "record": workdir.record(job), "link": workdir.ar / "afl"}[what]
    path.rename(host.folder / "aside")
    if what == "link":
        path.symlink_to(host.folder / "nowhere")
    said = {"ar": "is not there: bring it back", "record": "is there: move it out", "link": "leads nowhere"}[what]
    assert said in call("graveyard", "requeue", "0", code=1).stderr
    assert host.states() == [JobState.DONE]
    assert workdir.container_log(job).exists()


def test_no_result_is_given_up_while_a_command_enters_some(host: Host, worker: Worker) -> None:
    (job,) = host.begin(1)
    worker.result(0, job)
    host.collect(f"nobody@{LOOPBACK}:{worker.workdirs}")
    shutil.rmtree(Workdir(host.workdir).entry(job))
    with claims.workdir_lock(host.workdir, task="collect"):
        busy = call("graveyard", "requeue", "0", code=1).exception
    assert "magma-remote collect" in str(busy)
    assert host.states() == [JobState.DONE]
    assert Workdir(host.workdir).record(job).exists()


def test_a_dead_job_takes_a_late_result_and_the_campaign_stays_ended(host: Host, worker: Worker) -> None:
    jobs = host.begin(3, state=CampaignState.ENDED, ended_at=9.0)
    for number in range(2):
        host.change(number, state=JobState.DEAD, reason=Reason.LOST, message="its worker is gone")
        worker.result(number, jobs[number])
    host.change(2, state=JobState.DEAD, reason=Reason.DROPPED, message="dropped by a person")
    worker.result(2, jobs[2])
    found = host.collect(f"nobody@{LOOPBACK}:{worker.workdirs}", code=1)
    assert len(found["fetched"]) == 2
    assert [gap["reason"] for gap in found["missing"]] == ["dropped"]
    assert (found["state"], found["ended"]) == ("ended", True)
    assert host.states() == [JobState.DONE, JobState.DONE, JobState.DEAD]


def test_marks_are_not_believed(host: Host, worker: Worker) -> None:
    jobs = host.begin(4)
    Worker(workdirs=worker.workdirs, token="aa", config_id="f00").result(0, jobs[0])
    worker.result(1, jobs[2])
    worker.result(3, jobs[3])
    worker.mark(3).rename(worker.mark(9))
    worker.mark(4).write_text("[" * 100_000)
    worker.mark(5).write_text(json.dumps({"version": 1, "job": {}, "feedback": None}))
    worker.mark(6).symlink_to(worker.mark(4))
    result = call("collect", "--worker", f"nobody@{LOOPBACK}:{worker.workdirs}", code=1)
    assert "0-aa.json is left where it is: it is of another campaign, f00" in result.stderr
    assert "1-aa.json is left where it is: this campaign's job 1 is another one" in result.stderr
    assert result.stderr.count("is left where it is") == 5, result.stderr
    assert host.states() == [JobState.WAITING] * 4


@pytest.mark.parametrize(
    ("worker", "said"),
    [
        pytest.param("h:/w", "USER@HOST[:PORT]:WORKDIRS", id="no user"),
        pytest.param("u@h:w", "absolute path", id="relative"),
        pytest.param("u@h:0:/w", "from 1 to 65535", id="port"),
        pytest.param("u@h:/w/../x", "without ..", id="climbs"),
        pytest.param("u@-h:/w", "no host name", id="option"),
    ],
)
def test_a_worker_that_cannot_be(host: Host, worker: str, said: str) -> None:
    host.begin(1)
    assert said in refused("collect", "--worker", worker)


def test_no_campaign(host: Host) -> None:
    assert "no campaign yet" in refused("collect")
    (host.folder / "dispatcher.hjson").unlink()
    assert "no settings" in refused("collect")


def test_a_dispatcher_without_a_queue_is_said(host: Host, worker: Worker) -> None:
    jobs = host.begin(1)
    worker.result(0, jobs[0])
    with claims.workdir_lock(host.workdir):
        error = call("collect", "--worker", f"nobody@{LOOPBACK}:{worker.workdirs}", code=1).exception
    assert "handed to the dispatcher that runs here, through its queue" in str(error)


@pytest.mark.parametrize("task", ["collect", "images"])
def test_a_second_one_says_at_once_who_is_at_work(host: Host, worker: Worker, task: str) -> None:
    worker.result(0, host.begin(1)[0])
    before = host.known()
    with claims.workdir_lock(host.workdir, task=task):
        result = call("collect", "--json", "--worker", f"nobody@{LOOPBACK}:{worker.workdirs}", code=1)
    who = f"process {os.getpid()} (magma-remote {task} on {socket.gethostname()}) has been at work there for 0 s"
    assert f"{host.workdir}: {who}" in str(result.exception)
    assert (result.stdout, host.known()) == ("", before)
    assert host.collect(f"nobody@{LOOPBACK}:{worker.workdirs}")["complete"] == 1


def test_two_at_once(host: Host, worker: Worker) -> None:
    worker.result(0, host.begin(1)[0])
    (host.folder / "bin").mkdir()
    slow = host.folder / "bin" / "rsync"
    slow.write_text(f'''#!/bin/sh
        case "$*" in *workdir_*) touch begun; until [ -e go ]; do sleep 0.02; done;; esac
        exec {shutil.which("rsync")} "$@"''')
    slow.chmod(0o755)
    with far(worker, host) as (name, _):
        words = ["env", f"PATH={slow.parent}:{os.environ['PATH']}", f"TMPDIR={host.folder}", COMMAND, "collect"]
        first = subprocess.Popen([*words, "--worker", name], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until((host.folder / "begun").exists)
            begun = time.monotonic()
            second = call("collect", "--worker", name, code=1)
            assert time.monotonic() - begun < PATIENCE / 10
            (host.folder / "go").touch()
            assert first.wait(20) == 0
        finally:
            (host.folder / "go").touch()
            first.kill()
            first.wait()
    assert f"process {first.pid} (magma-remote collect on " in str(second.exception)
    assert host.states() == [JobState.DONE]


def test_a_dispatcher_that_runs_does_the_fetching(host: Host, beanstalkd: Beanstalkd) -> None:
    make_tree(host.folder / "magma")
    campaign = {"MAGMA": "magma", "REPEAT": 2, "FUZZERS": ["steady"], "TARGETS": ["toy"], "TIMEOUT": "2s"}
    campaign |= {"PROGRAMS": {"steady,toy": ["letters"]}}
    (host.folder / "campaign.hjson").write_text(json.dumps(campaign))
    host.settings(QUEUE=beanstalkd.address)
    with (host.folder / "output").open("wb") as output:
        words = ["env", "--default-signal=INT", COMMAND, "dispatch", "campaign.hjson"]
        dispatcher = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        until(lambda: b"begins: 2 jobs" in (host.folder / "output").read_bytes())  # its ledger is whole by then
        until(lambda: host.states() == [JobState.QUEUED] * 2)
        found, jobs, _ = host.known()
        assert found
        worker = Worker(workdirs=host.folder / "workdirs", token="aa", config_id=found.config_id)
        worker.open()
        worker.result(0, jobs[0].job)
        here = f"nobody@{LOOPBACK}:{worker.workdirs}"
        first = host.collect(here, code=1)
        second = host.collect(here, code=1)
        worker.result(1, jobs[1].job)
        last = host.collect(here)
        dispatcher.wait(20)
    finally:
        dispatcher.send_signal(signal.SIGKILL)
        dispatcher.wait()
    assert first["fetched"] == [f"{found.config_id},{jobs[0].job}"]
    assert [gap["reason"] for gap in first["missing"]] == ["queued"]
    assert (second["fetched"], second["complete"]) == ([], 1)
    assert (last["complete"], dispatcher.returncode) == (2, 0)


def test_interrupted_it_goes_on_the_next_time(host: Host, worker: Worker) -> None:
    worker.result(0, host.begin(1)[0])
    with far(worker, host) as (name, server):
        with server.frozen():
            words = ["env", "--default-signal=INT", f"TMPDIR={host.folder}", COMMAND, "collect", "--worker", name]
            collecting = subprocess.Popen(words, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
            assert collecting.stderr
            try:
                until(lambda: "ssh" in map(name_of, descendants(collecting.pid)))
                collecting.send_signal(signal.SIGINT)
                assert b"once more leaves at once" in collecting.stderr.readline()
                collecting.send_signal(signal.SIGINT)
                assert collecting.wait(20) == 1
            finally:
                collecting.kill()
                collecting.wait()
                collecting.stderr.close()
        assert host.states() == [JobState.WAITING]
        assert host.collect(name)["complete"] == 1
