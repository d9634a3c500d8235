"""The commands beside a dispatcher, as a user calls them, on a WORKDIR in the middle of a campaign."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters import claims
from magma_remote.model.entries import CampaignState, JobState
from magma_remote.model.heartbeat import WorkerState
from magma_remote.model.messages import Orders, orders_tube
from magma_remote.runtime.dispatcher import operations
from tests.support.commands import call, refused
from tests.support.workdirs.dispatched import CONFIG, DEAD, DONE, RUNNING, SETTINGS, dispatched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from magma_remote.adapters.sqlite import SqliteLedger
    from tests.support.servers.beanstalkd import Beanstalkd

FIRST_DEAD = DONE + RUNNING


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteLedger]:
    monkeypatch.chdir(tmp_path)
    with closing(dispatched(tmp_path)) as opened:
        yield opened


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("status",), id="status"),
        pytest.param(("status", "--json"), id="status for programs"),
        pytest.param(("graveyard", "list"), id="list"),
        pytest.param(("graveyard", "requeue", "--all"), id="requeue"),
        pytest.param(("graveyard", "drop", "1"), id="drop"),
        pytest.param(("cancel", "--yes"), id="cancel"),
        pytest.param(("drain", "w"), id="drain"),
        pytest.param(("logs", "1"), id="logs"),
    ],
)
def test_no_campaign_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dispatcher.hjson").write_text(SETTINGS)
    assert "start one with `magma-remote dispatch`" in refused(*command)
    (tmp_path / "dispatcher.hjson").unlink()
    assert "neither dispatcher.hjson in this folder nor " in refused(*command)


def test_graveyard_list(ledger: SqliteLedger) -> None:
    operations.drop(ledger, [199])
    lines = call("graveyard", "list").stdout.splitlines()
    assert lines[0] == f"job {FIRST_DEAD} is dead: libfuzzer/libxml2/xmllint #7"
    assert lines[1] == "    attempt 1 on worker-2: ended_early: the fuzzer ended after 2.1 s of 1 h"
    assert lines[2] == f"        log on worker-2: /w/log/{FIRST_DEAD}.log"
    assert lines[-3:] == [
        "job 199 is dead: libfuzzer/poppler/pdfimages #24",
        "    given up: dropped: dropped by a person",
        "8 dead, 0 failed and went on. `magma-remote graveyard requeue --all` lets the dead ones run again.",
    ]
    assert "        | Aborted" not in lines
    assert "        | Aborted" in call("graveyard", "list", "--tail").stdout.splitlines()


def test_graveyard_list_for_programs(ledger: SqliteLedger) -> None:
    operations.drop(ledger, [199])
    found = json.loads(call("graveyard", "list", "--json").stdout)
    assert (found["version"], found["config_id"], len(found["jobs"])) == (1, CONFIG, DEAD + 1)
    run = found["jobs"][0]["runs"][0]
    assert (run["name"], run["reason"], run["tail"]) == ("worker-2", "ended_early", ["+ afl-fuzz", "Aborted"])
    assert found["jobs"][-1]["job"] == f"{CONFIG},24,libfuzzer,poppler,pdfimages,"


def test_requeue_and_its_next_step(ledger: SqliteLedger) -> None:
    result = call("graveyard", "requeue", str(FIRST_DEAD), "0", code=1)
    assert result.stdout.splitlines() == [
        f"requeued {FIRST_DEAD}: libfuzzer/libxml2/xmllint #7",
        "No dispatcher runs: type `magma-remote dispatch` to run them.",
    ]
    assert result.stderr.startswith("not requeued 0: aflplusplus/libpng/libpng_read_fuzzer #0: it is done, and ")
    with claims.workdir_lock(Path("workdir")):
        assert "dispatch" not in call("graveyard", "requeue", str(FIRST_DEAD + 1)).stdout
    ledger.save_campaign(replace(operations.campaign_of(ledger), state=CampaignState.ENDED, ended_at=5.0))
    assert "The campaign had ended: type `magma-remote dispatch`" in call("graveyard", "requeue", "--all").stdout
    assert ledger.counts()[JobState.DEAD] == 0
    assert call("graveyard", "requeue", "--all").stdout == "No job is dead.\n"


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize("arguments", [(), ("--all", "1")])
def test_requeue_needs_to_know_what(arguments: tuple[str, ...]) -> None:
    assert refused("graveyard", "requeue", *arguments).startswith("say which: ")


def test_drop(ledger: SqliteLedger) -> None:
    assert call("graveyard", "drop", "24,libfuzzer,poppler,pdfimages,").stdout.startswith("dropped 199: ")
    assert ledger.counts()[JobState.DEAD] == DEAD + 1


def test_cancel_asks_a_person(ledger: SqliteLedger) -> None:
    assert refused("cancel").startswith("cancel asks first, and nobody is at this terminal")
    assert operations.campaign_of(ledger).state is CampaignState.OPEN
    assert call("cancel", "--yes").stdout.splitlines() == [
        f"Campaign {CONFIG} (week.hjson) is cancelled.",
        "No dispatcher runs: type `magma-remote dispatch` to finish the cancelling.",
    ]
    assert operations.campaign_of(ledger).state is CampaignState.CANCELLED
    with claims.workdir_lock(Path("workdir")):
        again = call("cancel", "--yes").stdout
    assert " was cancelled.\nIts dispatcher ends it within seconds" in again


def test_drain(ledger: SqliteLedger, beanstalkd: Beanstalkd) -> None:
    Path("dispatcher.hjson").write_text(SETTINGS.replace("unix:/nowhere/queue.sock", str(beanstalkd.address)))
    said = call("drain", "worker-1").stdout
    assert said.startswith("Worker worker-1 is told to drain: it takes nothing new; it leaves when the 3 trials")
    with closing(beanstalkd.queue()) as queue:
        message = queue.reserve(orders_tube("id0"))
    assert message
    assert Orders.decode(message.body) == Orders(config_id=CONFIG, drain=True)
    entry = operations.find_worker(ledger, "worker-1")
    ledger.save_worker(replace(entry, heartbeat=replace(entry.heartbeat, state=WorkerState.DRAINING, runs=())))
    assert call("drain", "worker-1").stdout == (
        "Worker worker-1 drains already: nothing runs there, so it leaves at once.\n"
    )


@pytest.mark.usefixtures("ledger")
def test_drain_where_the_queue_is_gone() -> None:
    error = call("drain", "worker-1", code=1).exception
    assert "queue unix:/nowhere/queue.sock cannot be reached" in str(error)


@pytest.mark.usefixtures("ledger")
def test_logs_of_a_done_job() -> None:
    log = Path("workdir/log/aflplusplus_libpng_libpng_read_fuzzer_0_container.log")
    log.parent.mkdir()
    log.write_bytes(b"one\r\ntwo \xff\n")
    build = log.with_name("aflplusplus_libpng_build_10.0.0.1.log")
    build.touch()
    result = call("logs", "0")
    assert result.stdout_bytes == b"one\r\ntwo \\xff\n"
    assert result.stderr.splitlines() == [
        "job 0 is done: aflplusplus/libpng/libpng_read_fuzzer #0",
        "    attempt 1 on worker-1: complete, its result is kept",
        f"    log: {build.absolute()}",
        f"    log: {log.absolute()}",
    ]
    log.unlink()
    assert "is not there: somebody has removed it" in refused("logs", "0")


@pytest.mark.usefixtures("ledger")
def test_logs_of_other_jobs() -> None:
    dead = call("logs", str(FIRST_DEAD)).stdout.splitlines()
    assert dead[0] == f"job {FIRST_DEAD} is dead: libfuzzer/libxml2/xmllint #7"
    assert dead.count("        | Aborted") == 3
    running = call("logs", str(DONE)).stdout.splitlines()
    assert running == [
        f"job {DONE} is running: libfuzzer/libpng/libpng_read_fuzzer #5",
        "    attempt 1 on worker-1: runs now (fuzzing)",
    ]
    assert call("logs", "199").stdout.splitlines()[-1] == "    it was not started yet"


@pytest.mark.parametrize("command", ["status", "graveyard", "cancel", "drain", "logs"])
def test_help(command: str) -> None:
    assert f"Usage: cli {command} " in call(command, "--help").stdout
