"""The same command again runs what is missing, and only that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.processes.quickrun import entries, record

if TYPE_CHECKING:
    from tests.support.processes.quickrun import Lab


def test_only_what_failed_runs_again(lab: Lab) -> None:
    """`early` fails until its FUZZARGS let it run on."""
    fuzzers = ["steady", "early"]
    campaign = lab.campaign(FUZZERS=fuzzers)
    first = lab.run(campaign)
    assert first.code == 1
    assert entries(lab.workdir()) == ["steady/toy/letters/0"]
    launched = record(lab.workdir(), "steady,toy,letters,0")["launched_at"]

    (lab.tree / "fuzzers/early/run.sh").write_text((lab.tree / "fuzzers/steady/run.sh").read_text())
    second = lab.run(campaign)
    assert second.code == 0, second.output
    assert "Started steady" not in second.output
    assert "1 more are there already" in second.output
    assert entries(lab.workdir()) == ["early/toy/letters/0", "steady/toy/letters/0"]
    assert record(lab.workdir(), "steady,toy,letters,0")["launched_at"] == launched
    assert "TOY001: early in 1 of 1, steady in 1 of 1" in second.output


def test_a_higher_repeat_adds_trials(lab: Lab) -> None:
    assert lab.run(lab.campaign(TIMEOUT="1s")).code == 0
    ended = lab.run(lab.campaign(TIMEOUT="1s", REPEAT=3))
    assert ended.code == 0, ended.output
    assert entries(lab.workdir()) == [f"steady/toy/letters/{run}" for run in range(3)]
    assert "Started steady/toy/letters #0" not in ended.output


def test_nothing_left_to_run(lab: Lab) -> None:
    campaign = lab.campaign(TIMEOUT="1s")
    assert lab.run(campaign).code == 0
    ended = lab.run(campaign)
    assert ended.code == 0
    assert "No trial left to run (1 more are there already)" in ended.output
    assert "1 of 1 trials complete" in ended.output
