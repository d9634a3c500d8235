"""Sentences of the report: they say no more than is known."""

from __future__ import annotations

import pytest

from magma_remote.report.analysis import analyse
from magma_remote.report.few import few_for_times
from magma_remote.report.repeats import Kind
from magma_remote.report.views import distinct, leader, plain
from magma_remote.report.wording import DASH
from tests.found import experiment, lost, trial

BUGS = ("T1", "T2", "T3", "T4")


def test_the_leader_is_told_apart_only_from_whom_it_was_compared_with() -> None:
    found = experiment(
        *(trial(f"a/tiff/p/{run}", triggered=dict.fromkeys(BUGS, 5)) for run in range(5)),
        *(trial(f"b/tiff/p/{run}", triggered={"T1": 5}) for run in range(5)),
        missing=(lost("c/tiff/p/0"),),
    )
    said = leader(analyse(found))
    assert "told apart from every other. " in said
    assert said.endswith("Not in this comparison: c (no repeat is complete everywhere).")


def test_nothing_is_said_of_a_fuzzer_without_any_trial() -> None:
    report = analyse(experiment(trial("a/tiff/p/0"), missing=(lost("c/tiff/p/0"),)))
    cells = {cell.fuzzer: cell for cell in report.overall.cells}
    assert (distinct(cells["a"], Kind.TRIGGERED), distinct(cells["c"], Kind.TRIGGERED)) == ("0", DASH)


@pytest.mark.parametrize(
    ("repeats", "bugs", "can_tell"),
    [
        pytest.param(3, 1, False, id="2 of 20 splits"),
        pytest.param(4, 1, True, id="2 of 70 splits"),
        pytest.param(4, 2, False, id="2 of 70 splits, twice"),
        pytest.param(9, 4, True, id="chi-squared"),
    ],
)
def test_tests_that_cannot_tell_are_named(repeats: int, bugs: int, can_tell: bool) -> None:  # noqa: FBT001
    found = experiment(
        *(trial(f"a/tiff/p/{run}", triggered=dict.fromkeys(BUGS[:bugs], 5)) for run in range(repeats)),
        *(trial(f"b/tiff/p/{run}") for run in range(repeats)),
    )
    target = analyse(found).targets[0]
    assert (few_for_times(target) == "") == can_tell
    assert (
        any(pair.adjusted is not None and pair.adjusted < 0.05 for bug in target.bugs for pair in bug.pairs) == can_tell
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        (False, "false"),
        (None, "not known"),
        ([], DASH),
        ({}, DASH),
        (["afl", "libfuzzer"], "afl, libfuzzer"),
        ({"afl,tiff": ["a", "b"], "x": 1}, "afl,tiff: a, b; x: 1"),
        ({"commit": None, "changes": ["M a"]}, "commit: not known; changes: M a"),
        ({str(number): "sha256:" + "0" * 64 for number in range(200)}, "200 entries: see facts in data/report.json"),
    ],
)
def test_a_setting_or_fact_is_for_people(value: object, text: str) -> None:
    assert plain(value) == text
