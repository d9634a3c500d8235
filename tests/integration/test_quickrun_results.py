"""What a quickrun leaves in WORKDIR, and whether Magma's tools can read it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from magma_remote.model.canaries import parse_row
from tests.support.processes.quickrun import cache, entries, record, tar_names
from tests.support.workdirs.magma_reader import read_workdir

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes.command import Ended
    from tests.support.processes.quickrun import Lab


@pytest.fixture(scope="module")
def ended(shared_lab: Lab) -> Ended:
    """Two programs of `steady`, twice each, and a `silent` one."""
    campaign = shared_lab.campaign(
        REPEAT=2, FUZZERS=["steady", "silent"], PROGRAMS={"steady": ["letters", "digits"], "silent": ["letters"]}
    )
    return shared_lab.run(campaign)


@pytest.fixture
def workdir(shared_lab: Lab, ended: Ended) -> Path:
    """Where it left its results."""
    assert ended.code == 0, ended.output
    return shared_lab.workdir()


TRIALS = [
    *[f"steady/toy/{program}/{run}" for program in ("digits", "letters") for run in (0, 1)],
    *[f"silent/toy/letters/{run}" for run in (0, 1)],
]


def test_entries_are_fuzzer_target_program_run(workdir: Path) -> None:
    assert entries(workdir) == sorted(TRIALS)
    assert {path.name for path in (workdir / "ar").glob("*/*/*/*/*")} == {"ball.tar"}


def test_workdir_holds_nothing_else(workdir: Path) -> None:
    names = {path.name for path in workdir.iterdir()}
    ours = {"trials", "staging", "manifests", "campaign.json", "manifest.json", "origin.json", ".lock"}
    assert names == {"ar", "log", "poc", *ours}
    assert not list((workdir / "staging").iterdir())
    assert not list((workdir / "poc").iterdir())


@pytest.mark.parametrize("trial", TRIALS)
def test_tarball_is_shared_itself(workdir: Path, trial: str) -> None:
    names = tar_names(workdir / "ar" / trial / "ball.tar")
    assert names[0] == "."
    assert {"./canaries.raw", "./log/current", "./monitor"} <= set(names)
    assert all(name.split("/")[2].isdigit() for name in names if name.startswith("./monitor/"))
    assert len([name for name in names if name.endswith("monitor")]) == 1


@pytest.mark.parametrize("trial", TRIALS)
def test_container_log_tells_of_launch_and_end(workdir: Path, trial: str) -> None:
    text = (workdir / "log" / f"{trial.replace('/', '_')}_container.log").read_text()
    assert text.count("Campaign launched at") == text.count("Campaign terminated at") == 1


def test_build_log_names_fuzzer_target_and_machine(workdir: Path) -> None:
    logs = sorted(path.name for path in (workdir / "log").glob("*_build_*.log"))
    assert [name.split("_build_")[0] for name in logs] == ["silent_toy", "steady_toy"]


def test_record_holds_the_facts(workdir: Path) -> None:
    facts = record(workdir, "steady,toy,digits,1")
    assert facts["job"] == {
        "repeat": 1,
        "fuzzer": "steady",
        "target": "toy",
        "program": "digits",
        "args": "--digits @@",
        "fuzzargs": "",
    }
    assert facts["reason"] is None
    assert facts["bugs"] == {"reached": ["TOY001", "TOY002"], "triggered": ["TOY001"]}
    assert 1.8 <= facts["terminated_at"] - facts["launched_at"] <= 4


def test_campaign_file_is_remembered(workdir: Path) -> None:
    assert json.loads((workdir / "campaign.json").read_text())["settings"]["TIMEOUT"] == 2


def test_nothing_is_left_of_the_trials(shared_lab: Lab, workdir: Path) -> None:
    assert not shared_lab.containers(workdir)
    assert not cache(workdir).exists()


def test_output_tells_of_every_trial_and_of_bugs(ended: Ended) -> None:
    for trial in TRIALS:
        label = " #".join(trial.rsplit("/", 1))
        assert f"Started {label} on CPU" in ended.output
        assert f"Ended {label}:" in ended.output
    assert "toy TOY001: steady in 4 of 4" in ended.output
    assert "6 of 6 trials complete" in ended.output


def test_a_trial_without_canaries_is_pointed_at(ended: Ended) -> None:
    assert "Ended silent/toy/letters #0: 0 bugs reached, 0 triggered; note: no canary" in ended.output


def test_magmas_reader_finds_first_stamps(workdir: Path) -> None:
    summary = read_workdir(workdir)
    assert set(summary) == set(TRIALS)
    for trial, found in summary.items():
        expected = set() if trial.startswith("silent") else {"TOY001", "TOY002"}
        assert set(found["reached"]) == expected
        assert set(found["triggered"]) == expected - {"TOY002"}
        assert all(stamp <= 3 for stamp in found["reached"].values())


def test_no_archive_leaves_shared_as_it_is(lab: Lab) -> None:
    ended = lab.run(lab.campaign(NO_ARCHIVE=True))
    assert ended.code == 0, ended.output
    run = lab.workdir() / "ar/steady/toy/letters/0"
    assert {"monitor", "canaries.raw", "log", "findings"} <= {path.name for path in run.iterdir()}
    newest = max((run / "monitor").iterdir(), key=lambda path: int(path.name))
    assert {canary.bug for canary in parse_row(newest.read_text())} == {"TOY001", "TOY002"}
    assert read_workdir(lab.workdir())["steady/toy/letters/0"]["triggered"].keys() == {"TOY001"}


def test_pocs_are_named_by_bug(lab: Lab) -> None:
    """Of two equal files one stays; what neither crashes nor triggers is no PoC."""
    ended = lab.run(lab.campaign(FUZZERS=["finds"], POC_EXTRACT=True))
    assert ended.code == 0, ended.output
    pocs = {path.name: path.read_text() for path in (lab.workdir() / "poc").iterdir()}
    bugs = sorted((name.split(".")[0], content) for name, content in pocs.items())
    assert bugs == [
        ("finds_toy_letters_NEW", "X"),
        ("finds_toy_letters_TOY001", "A"),
        ("finds_toy_letters_TOY001", "bbA"),
    ]
    assert "3 new PoCs" in ended.output
    assert record(lab.workdir(), "finds,toy,letters,0")["pocs"] == 3
