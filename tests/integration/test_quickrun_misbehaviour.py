"""Each way in which a fuzzer misbehaves fails its own trial with a reason, and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.processes.quickrun import entries, record

if TYPE_CHECKING:
    from tests.support.processes.command import Ended
    from tests.support.processes.quickrun import Lab

COMPLETE = ["steady", "stubborn", "chatty", "silent"]
# fuzzer: the reason, what is said of it, what its log's tail shows
FAILED = {
    "early": ("ended_early", "the fuzzer ended after 1.", "early: nothing left to try"),
    "aborts": ("ended_early", "the fuzzer ended after 0.", "PROGRAM ABORT : no support for -Q"),
    "dies": ("ended_early", "", "Campaign launched at"),
    "seedless": ("not_launched", "the fuzzer was never launched", "No seeds remaining!"),
    "broken": ("image", "did not build", "broken: no rule to make target 'fuzzer'"),
}


def text_of(fuzzer: str) -> str:
    return f"{fuzzer}/toy/letters #0"


@pytest.fixture(scope="module")
def ended(shared_lab: Lab) -> Ended:
    """All of them in one campaign."""
    return shared_lab.run(shared_lab.campaign(FUZZERS=[*COMPLETE, *FAILED], FUZZARGS={"aborts": "-Q"}))


@pytest.fixture(scope="module")
def missing(ended: Ended) -> str:
    """The part of the summary that lists missing trials."""
    return ended.output.partition("Missing trials")[2]


def test_exit_code_and_entries(ended: Ended, shared_lab: Lab) -> None:
    assert ended.code == 1
    assert entries(shared_lab.workdir()) == sorted(f"{fuzzer}/toy/letters/0" for fuzzer in COMPLETE)
    assert f"{len(COMPLETE)} of {len(COMPLETE) + len(FAILED)} trials complete" in ended.output
    assert not shared_lab.containers()


@pytest.mark.parametrize("fuzzer", COMPLETE)
def test_the_others_go_on(ended: Ended, fuzzer: str) -> None:
    assert f"Ended {text_of(fuzzer)}:" in ended.output


@pytest.mark.parametrize("fuzzer", FAILED)
def test_reason_and_tail_are_shown(missing: str, ended: Ended, fuzzer: str) -> None:
    reason, said, tail = FAILED[fuzzer]
    assert f"FAILED {text_of(fuzzer)} ({reason})" in ended.output
    mine = missing.partition(f"  {text_of(fuzzer)}: {reason}: ")[2].partition(" #0: ")[0]
    assert said in mine
    assert tail in mine
    assert "whole log" in mine


@pytest.mark.parametrize("fuzzer", [fuzzer for fuzzer in FAILED if fuzzer != "broken"])
def test_reason_is_recorded(ended: Ended, shared_lab: Lab, fuzzer: str) -> None:
    assert ended.code == 1
    assert record(shared_lab.workdir(), f"{fuzzer},toy,letters,0")["reason"] == FAILED[fuzzer][0]


def test_a_fuzzer_that_ends_late_is_named(ended: Ended) -> None:
    (line,) = [line for line in ended.lines if f"Ended {text_of('stubborn')}" in line]
    assert "to end after its TIMEOUT" in line


def test_no_terminal_code_of_a_fuzzer_or_a_build_is_shown(ended: Ended) -> None:
    assert not [char for char in ended.output if not char.isprintable() and char != "\n"]


def test_failed_build_is_tried_twice_and_named(ended: Ended, shared_lab: Lab) -> None:
    assert ended.output.count("trying once more") == 1
    (log,) = (shared_lab.workdir() / "log").glob("broken_toy_build_*.log")
    assert log.read_text().count("broken: no rule to make target") == 2
    assert str(log) in ended.output
