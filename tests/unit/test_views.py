"""Sentences of the report: they say no more than is known."""

from __future__ import annotations

import pytest

from magma_remote.report.analysis import analyse
from magma_remote.report.few import few_for_times
from magma_remote.report.lookups import blocks
from magma_remote.report.repeats import Kind
from magma_remote.report.views import (
    distinct,
    found_line,
    leader,
    lede,
    nothing_found,
    pairs_line,
    plain,
)
from magma_remote.report.wording import DASH
from tests.support.report.written import experiment, lost, trial

BUGS = ("T1", "T2", "T3", "T4")


def test_the_leader_is_told_apart_only_from_whom_it_was_compared_with() -> None:
    found = experiment(
        *(trial(f"a/tiff/p/{run}", triggered=dict.fromkeys(BUGS, 5)) for run in range(5)),
        *(trial(f"b/tiff/p/{run}", triggered={"T1": 5}) for run in range(5)),
        missing=(lost("c/tiff/p/0"),),
    )
    said = leader(analyse(found))
    assert "told apart from all that it was compared with. " in said
    assert said.endswith("Not compared with it: c (no repeat is complete on tiff).")


def test_who_ran_other_programs_is_not_said_to_be_level() -> None:
    found = experiment(
        *(trial(f"{f}/tiff/p/{run}", triggered={"T1": 5}) for f in "ab" for run in range(5)),
        *(trial(f"a/tiff/q/{run}", triggered={"T2": 5}) for run in range(5)),
    )
    report = analyse(found)
    assert (
        leader(report) == "Most bugs per repeat: a, 2.0\xa0±\xa00.0. Not compared with it: b (it ran other programs)."
    )
    cells = report.targets[0].counts.cells
    assert [(cell.letters, cell.top) for cell in cells] == [("", False)] * 2
    assert [finder.letters for bug in report.bugs for finder in bug.finders] == [""] * 4
    (sole,) = report.soles
    assert (sole.bug.name, sole.unsure) == ("T2", ("b: ran other programs",))


def test_a_fuzzer_that_lacks_repeats_is_level_with_a_word_of_it() -> None:
    found = experiment(
        *(trial(f"{f}/tiff/p/{run}", triggered={"T1": 5}) for f in "ab" for run in range(5) if (f, run) != ("b", 0)),
        *(trial(f"c/tiff/p/{run}", triggered={"T1": 5} if run else {}) for run in range(5)),
        missing=(lost("b/tiff/p/0"), lost("c/tiff/p/5")),
    )
    assert leader(analyse(found)) == (
        "Most bugs per repeat: a, 1.0\xa0±\xa00.0; as many: b (4 of 5 repeats); "
        "not told apart from it: c (5 of 6 repeats)."
    )


def test_nothing_is_known_where_no_trial_is_here() -> None:
    report = analyse(experiment(missing=tuple(lost(f"{f}/tiff/p/{run}") for f in "ab" for run in range(2))))
    assert lede(report) == (
        "2 fuzzers on 1 target, 2 repeats: none of the 4 trials is here, so nothing is known of what they found."
    )
    (target,) = report.targets
    assert found_line(target) == "no trial is here; repeats counted: a 0 of 2, b 0 of 2"
    assert nothing_found(target) == "No trial is here: nothing is known of what it found."


def test_some_trials_found_nothing() -> None:
    (target,) = analyse(experiment(trial("a/tiff/p/0"), missing=(lost("a/tiff/p/1"),))).targets
    assert nothing_found(target) == "No fuzzer reached a bug in the 1 of 2 trials that are here."


def test_a_line_on_pairs_names_who_lacks_repeats() -> None:
    found = experiment(
        *(trial(f"a/tiff/p/{run}", triggered=dict.fromkeys(BUGS, 5)) for run in range(5)),
        *(trial(f"b/tiff/p/{run}") for run in range(4)),
        missing=(lost("b/tiff/p/4"),),
    )
    assert pairs_line(analyse(found).targets[0].counts) == (
        "1 of 1 pair differs; repeats counted: b 4 of 5, all of the others"
    )


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, []), (1, [1]), (12, [12]), (13, [7, 6]), (24, [12, 12]), (25, [9, 9, 7])]
)
def test_parts_of_a_wide_table(count: int, sizes: list[int]) -> None:
    names = [str(number) for number in range(count)]
    found = blocks(names)
    assert [len(block) for block in found] == sizes
    assert [name for block in found for name in block] == names


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
        pytest.param(9, 4, True, id="2 of 48620 splits, four times"),
    ],
)
def test_tests_that_cannot_tell_are_named(repeats: int, bugs: int, can_tell: bool) -> None:
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
        ({"a": "x" * 1600}, "1 entry: see facts in data/report.json"),
        ("x" * 1600, "x" * 1500 + "… (whole under facts in data/report.json)"),
    ],
)
def test_a_setting_or_fact_is_for_people(value: object, text: str) -> None:
    assert plain(value, "facts") == text
