"""What a WORKDIR remembers, what it refuses, and where things are in it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from magma_remote.errors import UsageError
from magma_remote.model.campaign import Campaign, CanaryMode, WorkerMode
from magma_remote.model.canaries import Bugs
from magma_remote.model.container import environment, labels
from magma_remote.model.jobs import Job
from magma_remote.model.layout import Workdir
from magma_remote.model.outcome import Reason
from magma_remote.model.result import Result
from magma_remote.model.units import Duration, Size
from magma_remote.runtime.files import write_json
from magma_remote.runtime.workdir import state

JOB = Job(repeat=2, fuzzer="afl", target="libpng", program="readpng", args="-M @@", fuzzargs="-x a,b")
CAMPAIGN = Campaign(repeat=3, fuzzers=("afl",), targets=("libpng",), timeout=Duration.parse("24h"))


def listing(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in [folder, *folder.rglob("*")]}


@pytest.mark.parametrize("name", ["thesis.tex", ".bashrc", "ar/afl/libpng/readpng/0/ball.tar"])
def test_a_foreign_folder_is_refused_untouched(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    before = listing(tmp_path)
    with pytest.raises(UsageError, match="is not empty"):
        state.refuse_foreign(Workdir(tmp_path))
    assert listing(tmp_path) == before


@pytest.mark.parametrize("name", [None, ".lock", "campaign.json"])
def test_an_empty_folder_or_our_own_is_taken(tmp_path: Path, name: str | None) -> None:
    if name:
        (tmp_path / name).touch()
    state.refuse_foreign(Workdir(tmp_path))


def test_a_folder_that_is_not_there_is_taken(tmp_path: Path) -> None:
    state.refuse_foreign(Workdir(tmp_path / "new"))


def test_a_campaign_keeps_its_id(workdir: Workdir) -> None:
    first = state.open_campaign(workdir, CAMPAIGN)
    assert state.open_campaign(workdir, CAMPAIGN) == first
    assert len(first) == 12


def test_what_is_asked_for_is_kept_beside_the_settings(workdir: Workdir) -> None:
    state.open_campaign(workdir, CAMPAIGN)
    state.note_asked(workdir, [JOB])
    known = json.loads(workdir.campaign.read_text())
    assert (known["trials"], known["settings"]["TIMEOUT"]) == ([["afl", "libpng", "readpng", 2]], 86_400)
    before = listing(workdir.root)
    state.note_asked(workdir, [JOB])
    assert listing(workdir.root) == before
    state.open_campaign(workdir, CAMPAIGN)


def test_two_campaigns_have_two_ids(tmp_path: Path) -> None:
    ids = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        ids.add(state.open_campaign(Workdir(tmp_path / name), CAMPAIGN))
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"timeout": Duration.parse("1h")}, "TIMEOUT was 86400 s, is 3600 s"),
        ({"poll": 6}, "POLL was 5, is 6"),
        ({"canary_mode": CanaryMode.BARE}, "CANARY_MODE was 1, is 2"),
        ({"isan": True}, "ISAN was False, is True"),
        ({"harden": True}, "HARDEN was False, is True"),
        ({"worker_mode": WorkerMode.SOCKET}, "WORKER_MODE was logical, is socket"),
        ({"campaign_workers": 2}, "CAMPAIGN_WORKERS was 1, is 2"),
        ({"fuzzer_campaign_workers": MappingProxyType({"afl": 2})}, "FUZZER_CAMPAIGN_WORKERS was {}, is {'afl': 2}"),
        ({"cache_on_disk": True}, "CACHE_ON_DISK was False, is True"),
    ],
    ids=lambda value: value.split()[0] if isinstance(value, str) else "",
)
def test_settings_that_make_trials_incomparable(workdir: Workdir, changes: dict[str, Any], said: str) -> None:
    state.open_campaign(workdir, CAMPAIGN)
    before = workdir.campaign.read_text()
    with pytest.raises(UsageError) as caught:
        state.open_campaign(workdir, replace(CAMPAIGN, **changes))
    assert said in str(caught.value)
    assert workdir.campaign.read_text() == before


@pytest.mark.parametrize(
    "changes",
    [
        {"timeout": Duration.parse("1d")},
        {"repeat": 10},
        {"workers": 4},
        {"no_archive": True},
        {"poc_extract": True},
        {"tmpfs_size": Size.parse("1g")},
        {"fuzzers": ("afl", "honggfuzz")},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_settings_that_may_change(workdir: Workdir, changes: dict[str, Any]) -> None:
    first = state.open_campaign(workdir, CAMPAIGN)
    assert state.open_campaign(workdir, replace(CAMPAIGN, **changes)) == first


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="cut-short"),
        pytest.param("[]", id="list"),
        pytest.param('{"version": 2, "id": "x", "settings": {}}', id="newer"),
        pytest.param('{"version": 1, "settings": {}}', id="no-id"),
        pytest.param('{"version": 1, "id": "x"}', id="no-settings"),
        pytest.param("\udcff", id="no-text"),
    ],
)
def test_a_campaign_that_cannot_be_read(workdir: Workdir, text: str) -> None:
    workdir.campaign.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UsageError, match="take a new --workdir"):
        state.open_campaign(workdir, CAMPAIGN)


def test_done_are_those_with_an_entry(workdir: Workdir) -> None:
    jobs = [replace(JOB, repeat=repeat) for repeat in range(3)]
    for job in (jobs[2], jobs[0]):
        workdir.entry(job).mkdir(parents=True)
    assert state.done(workdir, jobs) == (jobs[0], jobs[2])


@pytest.mark.parametrize("name", ["afl/libpng/readpng/9", "honggfuzz/libpng/readpng/0", "afl/libpng/readpng/x"])
def test_entries_that_nobody_asks_for(workdir: Workdir, name: str) -> None:
    (workdir.ar / name).mkdir(parents=True)
    with pytest.raises(UsageError, match=name):
        state.done(workdir, [JOB])


def test_what_an_earlier_run_knew(workdir: Workdir) -> None:
    bugs = Bugs(reached=frozenset({"A", "B"}), triggered=frozenset({"B"}))
    result = Result(
        job=JOB, reason=None, bugs=bugs, digest="d1", image="i1", warnings=("late",), tail=("x",), cpus=(0,)
    )
    write_json(workdir.record(JOB), result.to_record())
    assert state.earlier(workdir, JOB) == Result(
        job=JOB, reason=None, bugs=bugs, digest="d1", image="i1", warnings=("late",)
    )


def test_an_earlier_run_that_left_no_record(workdir: Workdir) -> None:
    assert state.earlier(workdir, JOB) == Result(job=JOB, reason=None)


@pytest.mark.parametrize("changes", [{"fuzzargs": ""}, {"args": "@@"}], ids=lambda value: next(iter(value)))
def test_an_earlier_run_with_other_arguments(workdir: Workdir, changes: dict[str, Any]) -> None:
    write_json(workdir.record(JOB), Result(job=replace(JOB, **changes), reason=None).to_record())
    with pytest.raises(UsageError, match="cannot be compared"):
        state.earlier(workdir, JOB)


@pytest.mark.parametrize("reason", [None, *Reason])
def test_a_record_is_json(reason: Reason | None) -> None:
    record = json.loads(json.dumps(Result(job=JOB, reason=reason).to_record()))
    assert record["reason"] == (reason.value if reason else None)
    assert record["job"] == asdict(JOB)


def test_the_layout_is_magmas() -> None:
    workdir = Workdir(Path("/w"))
    assert str(workdir.entry(JOB)) == "/w/ar/afl/libpng/readpng/2"
    assert str(workdir.container_log(JOB)) == "/w/log/afl_libpng_readpng_2_container.log"
    assert str(workdir.build_log("afl", "libpng", "192.0.2.7")) == "/w/log/afl_libpng_build_192.0.2.7.log"
    assert str(workdir.pocs) == "/w/poc"


def test_the_environment_is_magmas() -> None:
    assert dict(environment(JOB, replace(CAMPAIGN, poll=7), (3, 67))) == {
        "PROGRAM": "readpng",
        "ARGS": "-M @@",
        "FUZZARGS": "-x a,b",
        "POLL": "7",
        "TIMEOUT": "24h",
        "AFFINITY": "3,67",
    }


def test_labels_name_the_owner(tmp_path: Path) -> None:
    found = labels(JOB, workdir=tmp_path, campaign_id="c0ffee", cpus=(3, 67))
    assert set(found.values()) == {str(tmp_path), "c0ffee", str(JOB), "3,67"}
