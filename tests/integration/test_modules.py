"""Our Ansible modules, run as Ansible runs them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.adapters.machine import this_machine
from magma_remote.model.cpu_request import CpuRequest, lay_out
from tests.support.ansible_calls import COMMAND, FakeCommand, module
from tests.support.places import ROOT

if TYPE_CHECKING:
    from pathlib import Path

DEMO = ROOT / "examples" / "demo.hjson"
IMAGE = {"fuzzer": "afl", "target": "libpng", "reference": "127.0.0.1:5000/m/a/l@sha256:aa", "message": "", "log": ""}
GROUP = {"fuzzer": "afl", "target": "libpng", "program": "reader", "complete": 3, "total": 4}
STATUS: dict[str, Any] = {
    "campaign": {"config_id": "c1", "source": "demo.hjson", "state": "open", "ended_at": None},
    "dispatcher_runs": True,
    "total": 4,
    "counts": {"waiting": 0, "queued": 1, "running": 1, "fetched": 0, "done": 1, "dead": 1},
    "unfetched": 0,
    "eta": 180.0,
    "warnings": [{"key": "disk", "text": "nearly full", "at": 1.0}],
    "workers": [{"name": "w2", "state": "ready", "lost": True, "detail": ""}],
    "running": [],
    "pairs": [],
    "dead": [],
}


@pytest.fixture
def fake(tmp_path: Path) -> FakeCommand:
    return FakeCommand.make(tmp_path)


@pytest.fixture
def settings(tmp_path: Path) -> str:
    """The settings are there: only that counts, as the command is not the real one."""
    (tmp_path / "dispatcher.hjson").touch()
    return str(tmp_path / "dispatcher.hjson")


@pytest.mark.parametrize("options", [(), ("--check",)], ids=["run", "check"])
def test_a_campaign_that_holds(options: tuple[str, ...]) -> None:
    found = module("magma_campaign", *options, file=str(DEMO), jobs=True, executable=str(COMMAND))
    campaign = found["campaign"]
    assert not found["changed"]
    assert (campaign["jobs"], campaign["timeout"], campaign["magma"]) == (4, 30.0, str(ROOT / "examples" / "magma"))
    assert campaign["pairs"][0] == {"fuzzer": "aflplusplus", "target": "libpng"}
    assert campaign["trials"] == {"aflplusplus": 2, "libfuzzer": 2}
    assert campaign["cpus"]["fuzzers"] == ["aflplusplus", "libfuzzer"]
    assert [job["program"] for job in campaign["job_list"]][:2] == ["libpng_read_fuzzer", "tiffcp"]


def test_all_errors_of_a_campaign_are_one_message(tmp_path: Path) -> None:
    (tmp_path / "bad.hjson").write_text("REPEAT: 0\nFUZZER: [\"afl\"]\nTIMEOUT: '{{ 1 + 1 }}'\n", encoding="utf-8")
    magma = str(ROOT / "examples" / "magma")
    found = module("magma_campaign", file=str(tmp_path / "bad.hjson"), magma=magma, executable=str(COMMAND))
    lines = found["msg"].splitlines()
    assert lines[0] == f"{tmp_path}/bad.hjson:1: REPEAT: found 0; allowed: an integer of 1 or more"
    assert "bad.hjson:2: FUZZER: unknown key" in lines[1]
    assert "bad.hjson:3: TIMEOUT: " in lines[2]
    assert "FUZZERS: missing" in found["msg"]


NO_TREE = 'REPEAT: 1\nFUZZERS: ["afl"]\nTARGETS: ["libpng"]\nTIMEOUT: soon\n'


def test_a_campaign_without_a_tree_may_be_for_another_host(tmp_path: Path) -> None:
    (tmp_path / "c.hjson").write_text(NO_TREE, encoding="utf-8")
    found = module("magma_campaign", file=str(tmp_path / "c.hjson"), tree_required=False, executable=str(COMMAND))
    assert (found["failed"], found["campaign"]) == (False, None)


def test_a_campaign_of_another_host_is_known_by_its_content() -> None:
    given = {"content": NO_TREE, "magma": str(ROOT / "examples" / "magma"), "executable": str(COMMAND)}
    found = module("magma_campaign", file="/far/c.hjson", **given)
    lines = found["msg"].splitlines()
    assert lines[0].startswith("/far/c.hjson:2: FUZZERS: ")
    assert lines[1].startswith("/far/c.hjson:4: TIMEOUT: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param({"executable": str(COMMAND)}, "no campaign file was given: name one with -e @FILE", id="no file"),
        pytest.param({"file": str(DEMO), "executable": "/none/magma-remote"}, "`make setup` installs it", id="nothing"),
        pytest.param({"file": "/none.hjson", "executable": str(COMMAND)}, "/none.hjson", id="no such file"),
    ],
)
def test_what_keeps_a_campaign_from_being_read(arguments: dict[str, str], words: str) -> None:
    assert words in module("magma_campaign", **arguments)["msg"]


@pytest.mark.parametrize("asked", [CpuRequest(), CpuRequest(demands={"afl": 1, "wide": 5000})], ids=["all", "wide"])
def test_a_layout_is_the_workers_own(asked: CpuRequest) -> None:
    found = module("magma_cpu_layout", cpus=asked.members())
    cpus, allowed = this_machine()
    expected = lay_out(asked, cpus, allowed, ())
    assert found["sets"] == [list(one) for one in expected.sets]
    assert [cpu["number"] for cpu in found["topology"]] == [cpu.number for cpu in cpus]
    assert list(found["cannot"]) == [fuzzer for fuzzer in asked.demands if fuzzer == "wide"]
    assert found["text"].startswith(f"{len(expected.sets)} CPU set")


@pytest.mark.parametrize(
    ("cpus", "housekeeping", "words"),
    [
        pytest.param({"workers": 5000}, [], "WORKERS: at least 5000 logical CPUs are asked for", id="too few"),
        pytest.param({"worker_pool": [5000]}, [], "WORKER_POOL: CPU 5000 cannot be used", id="pool"),
        pytest.param({}, [5000], "HOUSEKEEPING_CPUS: CPU 5000 cannot be used", id="housekeeping"),
    ],
)
def test_why_there_is_no_layout(cpus: dict[str, object], housekeeping: list[int], words: str) -> None:
    found = module("magma_cpu_layout", cpus={"fuzzers": ["afl"], **cpus}, housekeeping_cpus=housekeeping)
    assert words in found["msg"]


def campaign_of_eight(**cpus: object) -> dict[str, object]:
    asked = CpuRequest(demands={"afl": 1, "wide": 2}).members() | cpus
    return {"trials": {"afl": 4, "wide": 4}, "timeout": 3600.0, "cpus": asked}


def test_a_plan_tells_how_long_it_takes() -> None:
    found = module("magma_plan", campaign=campaign_of_eight(), workers={"w1": [[0], [1]], "w2": [[0, 1]]})
    assert found["text"].startswith("8 trials of 1 h on 3 CPU sets of 2 workers: about ")
    assert found["seconds"] == 4 * 3600.0


@pytest.mark.parametrize(
    ("workers", "words"),
    [
        pytest.param(
            {"w1": [[0]], "w2": [[3]]}, "no worker has so many logical CPUs for one trial: wide (2)", id="wide"
        ),
        pytest.param({}, "no worker is there", id="none"),
    ],
)
def test_a_campaign_that_runs_nowhere(workers: dict[str, object], words: str) -> None:
    assert words in module("magma_plan", campaign=campaign_of_eight(), workers=workers)["msg"]


@pytest.mark.parametrize(
    ("options", "state", "changed"),
    [
        pytest.param((), "present", False, id="there"),
        pytest.param((), "built", True, id="built"),
        pytest.param(("--check",), "present", False, id="there, looked at"),
        pytest.param(("--check",), "missing", True, id="missing, looked at"),
    ],
)
def test_an_image(fake: FakeCommand, options: tuple[str, ...], state: str, *, changed: bool) -> None:
    reference = "" if state == "missing" else IMAGE["reference"]
    fake.answers({"images": [{**IMAGE, "state": state, "reference": reference}]}, code=int(state == "missing"))
    found = module(
        "magma_image", *options, fuzzer="afl", target="libpng", file="/c.hjson", magma="/m", executable=str(fake.path)
    )
    assert (found["changed"], found["reference"]) == (changed, reference)
    check = ["--check"] if options else []
    expected = ["images", "--json", "--settings", "/etc/magma-remote/dispatcher.hjson", "--only", "afl/libpng", *check]
    assert fake.calls == [[*expected, "--magma", "/m", "--", "/c.hjson"]]


def test_a_failed_build_is_named_with_its_log(fake: FakeCommand) -> None:
    failed = {**IMAGE, "state": "failed", "reference": "", "message": "make: *** [all] Error 2", "log": "/w/log/b.log"}
    fake.answers({"images": [failed]}, code=1)
    found = module("magma_image", fuzzer="afl", target="libpng", executable=str(fake.path))
    assert found["msg"] == "image afl/libpng: make: *** [all] Error 2; its log on this host: /w/log/b.log"


def test_an_image_is_pulled_by_digest_only() -> None:
    assert "names no digest" in module("magma_image", state="pulled", reference="debian:bookworm")["msg"]


@pytest.mark.parametrize(
    ("fetched", "changed"),
    [pytest.param(["0,afl,libpng,p"], True, id="one"), pytest.param([], False, id="nothing new")],
)
def test_results_are_merged(fake: FakeCommand, fetched: list[str], *, changed: bool) -> None:
    answer = {"ended": True, "state": "ended", "total": 4, "complete": 3, "fetched": fetched, "missing": [{"job": "j"}]}
    answer |= {"groups": [GROUP], "unreachable": [{"worker": "w9", "message": "no route"}]}
    fake.answers(answer, code=1)
    workers = [{"host": "10.0.0.1", "workdirs": "/w"}, {"host": "fd00::1", "port": 2222, "user": "m", "workdirs": "/x"}]
    found = module("magma_merge", workers=workers, settings="/d.hjson", executable=str(fake.path))
    assert (found["changed"], found["missing"]) == (changed, [{"job": "j"}])
    assert found["unread"] == [{"worker": "w9", "message": "no route"}]
    assert "unreachable" not in found  # to Ansible that is a host that is gone
    assert found["table"][1].split() == ["afl", "libpng", "reader", "3", "of", "4", "partial"]
    assert "w9 was not looked at: no route" in found["said"]
    assert "the campaign has ended, and 1 of its 4 trials are missing" in found["said"]
    places = ["--worker", "magma-remote@10.0.0.1:22:/w", "--worker", "m@[fd00::1]:2222:/x"]
    assert fake.calls == [["collect", "--json", "--settings", "/d.hjson", *places]]


@pytest.mark.parametrize(("unfetched", "changed"), [(0, False), (2, True)], ids=["nothing", "two"])
def test_merging_in_check_mode_reads_only(fake: FakeCommand, unfetched: int, *, changed: bool) -> None:
    fake.answers({**STATUS, "unfetched": unfetched})
    found = module("magma_merge", "--check", settings="/d.hjson", executable=str(fake.path))
    assert (found["changed"], found["complete"], found["ended"]) == (changed, 1, False)
    assert "asks the ledger and no worker" in found["note"]
    assert fake.calls == [["status", "--json", "--settings", "/d.hjson"]]


def test_the_state_of_a_campaign(fake: FakeCommand, settings: str) -> None:
    fake.answers(STATUS)
    found = module("magma_queue_info", settings=settings, executable=str(fake.path))
    assert (found["active"], found["changed"], found["total"]) == (True, False, 4)
    assert found["progress"] == "1 of 4 trials complete, 1 running, 1 to come, 1 given up; w2: lost"
    assert found["left"] == "about 3 min left"
    assert found["problems"] == STATUS["warnings"]


def test_no_campaign_is_no_failure(fake: FakeCommand, settings: str) -> None:
    fake.answers({"campaign": None}, code=2, err="magma-remote: no campaign yet: start one")
    found = module("magma_queue_info", settings=settings, executable=str(fake.path))
    assert (found["campaign"], found["active"]) == (None, False)


def test_no_settings_are_no_campaign(tmp_path: Path, fake: FakeCommand) -> None:
    found = module("magma_queue_info", settings=str(tmp_path / "none.hjson"), executable=str(fake.path))
    assert (found["campaign"], fake.calls) == (None, [])


@pytest.mark.parametrize(
    ("said", "words"),
    [
        pytest.param("magma-remote: dispatcher.hjson:3: QUEUE: wrong\n", "dispatcher.hjson:3: QUEUE: wrong", id="said"),
        pytest.param("", "ended with exit code 2 and said nothing", id="silent"),
    ],
)
def test_a_refusal_is_the_message(fake: FakeCommand, settings: str, said: str, words: str) -> None:
    fake.refuses(said)
    assert words in module("magma_queue_info", settings=settings, executable=str(fake.path))["msg"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param("{}", "speaks version None", id="no version"),
        pytest.param('{"version": 2}', "speaks version 2", id="another version"),
        pytest.param("all right", "printed no JSON", id="no JSON"),
        pytest.param("[]", "speaks version None", id="no object"),
    ],
)
def test_another_release_is_refused(fake: FakeCommand, settings: str, answer: str, words: str) -> None:
    (fake.folder / "answers").write_text(json.dumps([(0, answer, "")]))
    assert words in module("magma_queue_info", settings=settings, executable=str(fake.path))["msg"]
