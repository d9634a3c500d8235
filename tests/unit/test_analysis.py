"""From trials to figures, on experiments small enough to be worked by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from magma_remote.report.analysis import analyse
from magma_remote.report.repeats import Kind
from magma_remote.report.statistics import ALPHA, holm
from tests.support.report.generated import generated
from tests.support.report.written import experiment, lost, trial

if TYPE_CHECKING:
    from magma_remote.model.experiment import Experiment
    from magma_remote.report.figures import Cell


def two_fuzzers() -> Experiment:
    """afl triggers T1 always and T2 never, honggfuzz T2 in two of four; T3 is reached only."""
    return experiment(
        *(trial(f"afl/tiff/a/{run}", triggered={"T1": 10 * (run + 1)}, reached={"T3": 5}) for run in range(4)),
        *(trial(f"honggfuzz/tiff/a/{run}", triggered={"T2": 20} if run < 2 else {}) for run in range(4)),
    )


def test_bugs_per_repeat() -> None:
    (target,) = analyse(two_fuzzers()).targets
    afl, honggfuzz = target.counts.cells
    triggered, reached = afl.spread[Kind.TRIGGERED], afl.spread[Kind.REACHED]
    assert triggered is not None
    assert reached is not None
    assert (triggered.mean, triggered.sd, reached.mean) == (1, 0, 2)
    spread = honggfuzz.spread[Kind.TRIGGERED]
    assert spread is not None
    assert (spread.mean, spread.low, spread.high) == (0.5, 0, 1)
    assert spread.sd == pytest.approx((1 / 3) ** 0.5)
    assert honggfuzz.distinct == {Kind.REACHED: 1, Kind.TRIGGERED: 1}


def test_fuzzers_on_bugs_per_repeat() -> None:
    (pair,) = analyse(two_fuzzers()).targets[0].counts.pairs
    # afl's 1 against 1, 1, 0, 0: of 16 pairs 8 are won and 8 tie. All four of the six ones fall to afl in 15 of 70 ways
    assert pair.a12 == pytest.approx(0.75)
    assert pair.effect == "large"
    assert pair.p == pair.adjusted == pytest.approx(30 / 70)


def test_times_to_a_bug() -> None:
    (target,) = analyse(two_fuzzers()).targets
    bugs = {bug.name: bug for bug in target.bugs}
    afl, honggfuzz = bugs["T1"].finders
    assert (afl.triggered.count, afl.triggered.n) == (4, 4)
    assert afl.triggered.restricted is not None
    assert afl.triggered.restricted.mean == pytest.approx(25)
    assert honggfuzz.triggered.restricted is not None
    assert (honggfuzz.triggered.restricted.mean, honggfuzz.triggered.restricted.low) == (60, None)
    half = bugs["T2"].finders[1].triggered
    assert half.restricted is not None
    assert half.restricted.mean == pytest.approx(40)


def test_the_tests_of_a_target_are_one_family() -> None:
    (target,) = analyse(two_fuzzers()).targets
    pairs = {bug.name: bug.pairs[0] for bug in target.bugs}
    assert pairs["T3"].why == "neither triggered it"
    raw = [pairs["T1"].p, pairs["T2"].p]
    assert raw[0] == pytest.approx(2 / 70)
    adjusted = holm([p for p in raw if p is not None])
    assert [pairs["T1"].adjusted, pairs["T2"].adjusted] == pytest.approx(adjusted)
    assert pairs["T1"].z is not None
    assert pairs["T1"].z > 0


def test_bugs_go_from_easy_to_hard() -> None:
    assert [bug.name for bug in analyse(two_fuzzers()).bugs] == ["T1", "T2", "T3"]


def test_bugs_that_one_fuzzer_finds() -> None:
    soles = {sole.bug.name: sole for sole in analyse(two_fuzzers()).soles}
    assert [(soles[bug].finder.fuzzer, soles[bug].kind) for bug in ("T1", "T2", "T3")] == [
        ("afl", Kind.TRIGGERED),
        ("honggfuzz", Kind.TRIGGERED),
        ("afl", Kind.REACHED),
    ]
    assert soles["T1"].others == 4
    assert soles["T1"].also_reached
    assert soles["T1"].unsure == ()


def test_a_bug_that_another_reaches_is_triggered_alone_but_not_reached_alone() -> None:
    found = experiment(trial("a/tiff/p/0", triggered={"T1": 5}), trial("b/tiff/p/0", reached={"T1": 5}))
    (sole,) = analyse(found).soles
    assert (sole.finder.fuzzer, sole.kind, sole.also_reached) == ("a", Kind.TRIGGERED, False)


def test_what_a_missing_trial_might_have_found_makes_a_sole_finder_unsure() -> None:
    found = experiment(trial("afl/tiff/a/0", triggered={"T1": 5}), trial("b/tiff/a/0"), missing=(lost("b/tiff/a/1"),))
    (sole,) = analyse(found).soles
    assert sole.unsure == ("b: 1 repeat missing",)
    assert (sole.others, sole.others_expected) == (1, 2)


def test_a_fuzzer_that_was_watched_in_part_is_never_complete_evidence() -> None:
    found = experiment(
        *(trial(f"a/tiff/p/{run}", triggered={"T1": 40}) for run in range(5)),
        *(trial(f"b/tiff/p/{run}", last=10) for run in range(5)),
    )
    report = analyse(found)
    (target,) = report.targets
    assert [cell.partly for cell in target.counts.cells] == [0, 5]
    assert target.horizon == 10
    assert target.notes == ("No repeat of b was watched beyond 10 s: restricted means go up to there",)
    (sole,) = report.soles
    assert sole.unsure == ("b: 5 repeats watched in part",)
    finders = report.bugs[0].finders
    assert [finder.triggered.restricted and finder.triggered.restricted.mean for finder in finders] == [10, 10]
    assert [finder.triggered.partly for finder in finders] == [0, 5]


@pytest.mark.parametrize("seed", range(3))
def test_the_top_are_the_best_and_who_is_not_told_apart_from_it(seed: int) -> None:
    report = analyse(generated(fuzzers=6, targets=4, repeats=10, bugs=8, lost=60, seed=seed))
    for counts in (report.overall, *(target.counts for target in report.targets)):
        cells = {cell.fuzzer: cell for cell in counts.cells if cell.n}
        best = max(cells.values(), key=mean_of)
        tied = {name for name, cell in cells.items() if mean_of(cell) == mean_of(best)}
        apart = {
            pair.y if pair.x == best.fuzzer else pair.x
            for pair in counts.pairs
            if best.fuzzer in {pair.x, pair.y} and pair.adjusted is not None and pair.adjusted < ALPHA
        }
        if len(tied) == 1:
            assert {name for name, cell in cells.items() if cell.top} == set(cells) - apart


def mean_of(cell: Cell) -> float:
    spread = cell.spread[Kind.TRIGGERED]
    assert spread
    return spread.mean


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(experiment(*(trial(f"{f}/tiff/p/{run}") for f in "ab" for run in range(3))), id="nothing found"),
        pytest.param(experiment(*(trial(f"a/tiff/p/{run}", triggered={"T": 5}) for run in range(3))), id="one fuzzer"),
    ],
)
def test_nobody_is_best_without_a_find_or_a_test(found: Experiment) -> None:
    assert not any(cell.top for cell in analyse(found).targets[0].counts.cells)


def test_a_bug_beside_a_missing_trial_keeps_others_from_being_alone() -> None:
    found = experiment(
        trial("afl/tiff/a/0", triggered={"T1": 5}),
        trial("afl/tiff/b/0"),
        trial("b/tiff/a/0", triggered={"T1": 5}),
        missing=(lost("b/tiff/b/0"),),
    )
    report = analyse(found)
    assert report.soles == ()
    times = report.bugs[0].finders[1].triggered
    assert (times.count, times.n, times.expected, times.elsewhere) == (0, 0, 1, True)


def test_a_missing_trial_is_never_scored_as_not_found() -> None:
    there = [trial(f"afl/tiff/a/{run}", triggered={"T1": 10}) for run in range(2)]
    times = analyse(experiment(*there, missing=(lost("afl/tiff/a/2"),))).bugs[0].finders[0].triggered
    assert (times.count, times.n, times.expected) == (2, 2, 3)
    assert times.restricted is not None
    assert times.restricted.mean == 10


def test_all_targets_together_count_repeats_that_are_complete_on_each() -> None:
    found = experiment(
        *(trial(f"afl/{target}/a/{run}", triggered={f"{target}1": 5}) for target in ("png", "tiff") for run in (0, 1)),
        trial("afl/xml/a/0"),
        missing=(lost("afl/xml/a/1"),),
    )
    (cell,) = analyse(found).overall.cells
    assert (cell.n, cell.expected) == (1, 2)
    spread = cell.spread[Kind.TRIGGERED]
    assert spread is not None
    assert spread.mean == 2


def test_run_ties_nothing_together_across_targets() -> None:
    found = experiment(
        trial("afl/png/a/0", triggered={"P1": 5}),
        trial("afl/tiff/a/1", triggered={"T1": 5, "T2": 5}),
        missing=(lost("afl/png/a/1"), lost("afl/tiff/a/0")),
    )
    (cell,) = analyse(found).overall.cells
    spread = cell.spread[Kind.TRIGGERED]
    assert (cell.n, cell.expected, spread and spread.mean) == (1, 2, 3.0)


@pytest.mark.parametrize(
    ("cut", "partly"),
    [
        pytest.param(["png 0", "tiff 1"], 2, id="another repeat of each"),
        pytest.param(["png 0", "tiff 0"], 1, id="the same of each"),
        pytest.param(["tiff 2"], 0, id="one that is not added up"),
    ],
)
def test_repeats_of_all_targets_are_watched_in_part_where_any_of_theirs_is(cut: list[str], partly: int) -> None:
    found = experiment(
        *(
            trial(f"a/{target}/p/{run}", last=10 if f"{target} {run}" in cut else 60)
            for target in ("png", "tiff")
            for run in range(3)
            if (target, run) != ("png", 2)
        ),
        missing=(lost("a/png/p/2"),),
    )
    (cell,) = analyse(found).overall.cells
    assert (cell.n, cell.partly) == (2, partly)


def test_who_ran_elsewhere_is_not_compared_for_that_reason() -> None:
    report = analyse(experiment(trial("a/tiff/p/0", triggered={"T1": 1}), trial("b/png/p/0")))
    (pair,) = report.overall.pairs
    assert pair.why == "it did not run on png; it did not run on tiff"


def test_repeats_of_another_fuzzer_are_not_missed() -> None:
    found = experiment(
        *(trial(f"a/tiff/p/{run}") for run in range(2)), *(trial(f"b/tiff/p/{run}") for run in range(4)), repeat=4
    )
    cells = analyse(found).targets[0].counts.cells
    assert [(cell.n, cell.expected) for cell in cells] == [(2, 2), (4, 4)]


def test_a_fuzzer_that_left_a_target_out_is_not_compared_on_all() -> None:
    found = experiment(trial("afl/png/a/0"), trial("afl/tiff/a/0"), trial("b/png/a/0"))
    cell = analyse(found).overall.cell("b")
    assert cell is not None
    assert cell.why == "it did not run on tiff"
    assert cell.spread[Kind.TRIGGERED] is None


def test_fuzzers_that_ran_different_programs_are_told_and_not_compared() -> None:
    report = analyse(experiment(trial("afl/tiff/a/0", triggered={"T1": 5}), trial("b/tiff/b/0")))
    (target,) = report.targets
    assert "afl: a; b: b" in target.notes[0]
    told = [(pair.p, pair.why) for pair in (*target.counts.pairs, *report.overall.pairs)]
    told += [(pair.p, pair.why) for pair in target.bugs[0].pairs]
    assert told == [(None, "they ran different programs")] * 3


def test_progress_counts_targets() -> None:
    told: list[tuple[int, int]] = []
    analyse(experiment(trial("afl/png/a/0"), trial("afl/tiff/a/0")), lambda done, total: told.append((done, total)))
    assert told == [(0, 2), (1, 2), (2, 2)]
