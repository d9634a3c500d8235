"""What counts as a repeat, and what a repeat saw."""

from __future__ import annotations

from dataclasses import replace

import pytest

from magma_remote.report.repeats import Horizon, Kind, groups_of, horizon_of
from tests.support.report.written import experiment, lost, trial


def test_a_repeat_sees_a_bug_when_its_first_program_does() -> None:
    found = experiment(
        trial("afl/tiff/a/0", triggered={"T1": 30, "T2": 5}), trial("afl/tiff/b/0", triggered={"T1": 10, "T2": 50})
    )
    group = groups_of(found)["afl", "tiff"]
    assert group.first[Kind.TRIGGERED] == {"T1": {0: 10}, "T2": {0: 5}}
    assert group.counts(Kind.TRIGGERED) == {0: 2}
    assert (group.n, group.expected, group.programs) == (1, 1, ("a", "b"))


def test_a_repeat_without_one_of_its_trials_is_not_counted_but_its_bugs_are_seen() -> None:
    found = experiment(
        trial("afl/tiff/a/0", triggered={"T1": 30}),
        trial("afl/tiff/b/0"),
        trial("afl/tiff/a/1", triggered={"T2": 5}),
        missing=(lost("afl/tiff/b/1"),),
    )
    group = groups_of(found)["afl", "tiff"]
    assert (group.n, group.expected) == (1, 2)
    assert "T2" not in group.first[Kind.TRIGGERED]
    assert group.seen[Kind.TRIGGERED] == {"T1", "T2"}


def test_a_fuzzer_whose_trials_are_all_missing_is_there_with_none() -> None:
    group = groups_of(experiment(missing=(lost("afl/tiff/a/0"), lost("afl/tiff/a/1"))))["afl", "tiff"]
    assert (group.n, group.expected) == (0, 2)


def test_repeats_that_were_asked_for_are_expected_though_nobody_names_them() -> None:
    found = replace(experiment(trial("afl/tiff/a/0"), repeat=3), expected=None)
    assert groups_of(found)["afl", "tiff"].expected == 3


def test_a_repeat_that_never_saw_a_bug_is_censored_at_timeout_though_its_stamps_drift() -> None:
    found = experiment(trial("afl/tiff/a/0", last=30), trial("afl/tiff/a/1", last=None, triggered={"T1": 20}))
    times, seen = groups_of(found)["afl", "tiff"].times(Kind.TRIGGERED, "T1")
    assert (times.tolist(), seen.tolist()) == ([60, 20], [False, True])


@pytest.mark.parametrize(
    ("timeout", "last", "end"),
    [pytest.param(60.0, 25, 25, id="long"), pytest.param(20.0, 5, 20, id="too short to tell")],
)
def test_a_repeat_whose_monitor_died_early_is_censored_then(timeout: float, last: int, end: int) -> None:
    found = experiment(trial("afl/tiff/a/0", last=last), timeout=timeout)
    times, seen = groups_of(found)["afl", "tiff"].times(Kind.TRIGGERED, "T1")
    assert (times.tolist(), seen.tolist()) == ([end], [False])


def test_a_stamp_that_drifted_beyond_timeout_counts_at_timeout() -> None:
    times, seen = groups_of(experiment(trial("afl/tiff/a/0", triggered={"T1": 65})))["afl", "tiff"].times(
        Kind.TRIGGERED, "T1"
    )
    assert (times.tolist(), seen.tolist()) == ([60], [True])


@pytest.mark.parametrize(
    ("timeout", "horizon"),
    [
        pytest.param(90.0, Horizon(seconds=90, known=True), id="known"),
        pytest.param(None, Horizon(seconds=55, known=False), id="unknown"),
    ],
)
def test_the_horizon(timeout: float | None, horizon: Horizon) -> None:
    assert horizon_of(experiment(trial("a/b/c/0", last=20), trial("a/b/c/1", last=55), timeout=timeout)) == horizon


def test_without_timeout_a_trial_is_watched_up_to_its_last_stamp() -> None:
    found = experiment(
        trial("afl/tiff/a/0", last=20),
        trial("afl/tiff/a/1", last=55, triggered={"T1": 40}),
        trial("afl/tiff/a/2", last=None),
        timeout=None,
    )
    times, seen = groups_of(found)["afl", "tiff"].times(Kind.TRIGGERED, "T1")
    assert (times.tolist(), seen.tolist()) == ([20, 40, 55], [False, True, False])


def test_the_program_that_ends_first_ends_a_repeat_though_what_another_found_later_is_found() -> None:
    found = experiment(
        trial("afl/tiff/a/0", last=20), trial("afl/tiff/b/0", last=55, triggered={"T1": 40}), timeout=None
    )
    group = groups_of(found)["afl", "tiff"]
    times, seen = group.times(Kind.TRIGGERED, "T1")
    assert (times.tolist(), seen.tolist()) == ([20], [False]), "or only repeats without a find were censored"
    assert group.times(Kind.TRIGGERED, "T2")[0].tolist() == [20]
    assert group.counts(Kind.TRIGGERED) == {0: 1}
