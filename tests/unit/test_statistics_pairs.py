"""Tests of pairs and effect sizes, against published figures, SciPy, lifelines, and cases worked by hand."""

from __future__ import annotations

import warnings
from itertools import combinations
from math import comb
from random import Random

import numpy as np
import pytest
from scipy import stats

from magma_remote.report.few import repeats_needed
from magma_remote.report.statistics import ALPHA, holm
from magma_remote.report.statistics_pairs import _scores, effect_word, letters, log_rank, mann_whitney
from tests.support.report.survival import CALLAERT_0, CALLAERT_1, CONTROL, NEW_DRUG, PLACEBO, SIX_MP, Sample, sample

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # lifelines and what it imports warn of their own affairs
    from lifelines.statistics import logrank_test


def test_mann_whitney_of_scipys_example() -> None:
    # SciPy's documentation of mannwhitneyu: age at diagnosis of type II diabetes
    ranked = mann_whitney([19, 22, 16, 29, 24], [20, 11, 17, 12])
    assert (ranked.u, ranked.exact) == (17, True)
    assert ranked.p == pytest.approx(0.1111111)
    assert ranked.a12 == pytest.approx(17 / 20)


@pytest.mark.parametrize("seed", range(8))
def test_with_ties_p_is_that_of_all_permutations(seed: int) -> None:
    random = Random(seed)
    x = [random.randint(0, 4) for _ in range(random.randint(2, 5))]
    y = [random.randint(1, 5) for _ in range(random.randint(2, 5))]
    expected = stats.mannwhitneyu(x, y, method=stats.PermutationMethod(n_resamples=1000))
    ranked = mann_whitney(x, y)
    assert ranked.u == expected.statistic
    assert ranked.p == pytest.approx(expected.pvalue)


def test_large_samples_take_the_approximation() -> None:
    x, y = list(range(30)), list(range(10, 40))
    ranked = mann_whitney(x, y)
    assert not ranked.exact
    assert ranked.p == pytest.approx(stats.mannwhitneyu(x, y, method="asymptotic").pvalue)


@pytest.mark.parametrize(
    ("x", "y", "a12", "p"),
    [
        pytest.param([1, 1, 1], [2, 2, 2], 0.0, 0.1, id="three-apart"),
        pytest.param([4, 5], [1, 2], 1.0, 1 / 3, id="two-apart"),
        pytest.param([7], [3], 1.0, 1.0, id="one-each"),
        pytest.param([5, 5, 5], [5, 5, 5], 0.5, 1.0, id="all-alike"),
        pytest.param([5] * 30, [5] * 30, 0.5, 1.0, id="many-alike"),
        # of 9 pairs x wins 4 and ties 2
        pytest.param([1, 3, 5], [1, 2, 5], 5 / 9, 1.0, id="ties"),
    ],
)
def test_effect_and_p_by_hand(x: list[int], y: list[int], a12: float, p: float) -> None:
    ranked = mann_whitney(x, y)
    assert ranked.a12 == pytest.approx(a12)
    assert ranked.p == pytest.approx(p)
    assert mann_whitney(y, x).a12 == pytest.approx(1 - a12)


@pytest.mark.parametrize(
    ("a12", "word"),
    [
        (0.5, "negligible"), (0.559, "negligible"), (0.56, "small"), (0.44, "small"), (0.64, "medium"),
        (0.36, "medium"), (0.71, "large"), (0.29, "large"), (1.0, "large"), (0.0, "large"),
    ],
)  # fmt: skip
def test_words_of_vargha_and_delaney(a12: float, word: str) -> None:
    assert effect_word(a12) == word


def test_log_rank_of_the_6_mp_trial() -> None:
    # chi-squared 16.79 with one degree of freedom, p = 0.0000417, in every textbook
    result = log_rank(*PLACEBO, *SIX_MP)
    assert result is not None
    assert not result.exact
    assert result.z**2 == pytest.approx(16.79, abs=0.005)
    assert result.p == pytest.approx(4.17e-5, abs=5e-8)
    assert result.z > 0  # relapses come sooner with placebo


@pytest.mark.parametrize(
    ("x", "y", "p"),
    [
        pytest.param(NEW_DRUG, CONTROL, 0.001, id="statxact"),
        pytest.param(CALLAERT_0, CALLAERT_1, 0.0505, id="callaert"),
    ],
)
def test_exact_log_rank_as_published(x: Sample, y: Sample, p: float) -> None:
    result = log_rank(*x, *y)
    assert result is not None
    assert result.exact
    assert result.p == pytest.approx(p, abs=5e-5)


@pytest.mark.parametrize("seed", range(6))
def test_log_rank_of_many_is_that_of_lifelines(seed: int) -> None:
    random = Random(seed)
    x, y = (
        sample([min(100, random.randrange(5, 160, 5)) for _ in range(25)], random.sample(range(25), 5))
        for _ in range(2)
    )
    result = log_rank(*x, *y)
    theirs = logrank_test(x[0], y[0], x[1], y[1])
    assert result is not None
    assert not result.exact
    assert result.z**2 == pytest.approx(theirs.test_statistic)
    assert result.p == pytest.approx(theirs.p_value)


@pytest.mark.parametrize("seed", range(30))
def test_exact_log_rank_is_the_share_of_all_splits(seed: int) -> None:
    random = Random(seed)
    sizes = random.randint(1, 6), random.randint(1, 6)
    x, y = (
        sample([random.choice([5, 10, 20, 40, 60]) for _ in range(size)], random.sample(range(size), size // 2))
        for size in sizes
    )
    result = log_rank(*x, *y)
    if result is None:
        assert not np.concatenate([x[1], y[1]]).any()
        return
    scores = _scores(np.concatenate([x[0], y[0]]), np.concatenate([x[1], y[1]]))
    sums = [abs(sum(chosen)) for chosen in combinations(scores.tolist(), sizes[0])]
    told = abs(scores[: sizes[0]].sum())
    assert result.exact
    assert result.p == pytest.approx(sum(other >= told - 1e-9 for other in sums) / len(sums))


@pytest.mark.parametrize(
    ("count", "n", "p"),
    [
        pytest.param(1, 10, 1.0, id="1 of 10"),
        pytest.param(4, 10, 2 * comb(16, 6) / comb(20, 10), id="4 of 10"),
        pytest.param(7, 10, 2 * comb(13, 3) / comb(20, 10), id="7 of 10"),
        pytest.param(10, 10, 2 / comb(20, 10), id="10 of 10"),
        pytest.param(20, 40, 2 * comb(60, 20) / comb(80, 40), id="20 of 40"),
    ],
)
def test_log_rank_against_a_fuzzer_that_never_triggers_it(count: int, n: int, p: float) -> None:
    found = sample([float(min(run + 1, count + 1)) for run in range(n)], set(range(count, n)))
    times = np.where(found[1], found[0], 60.0)
    result = log_rank(times, found[1], *sample([60.0] * n, set(range(n))))
    assert result is not None
    assert result.exact
    assert result.p == pytest.approx(p)


@pytest.mark.parametrize(
    ("x", "y", "p"),
    [
        pytest.param([1, 2, 3], [60, 60, 60], 0.1, id="three-apart"),
        pytest.param([5, 5, 5], [5, 5, 5], 1.0, id="all-tied"),
        pytest.param([5], [60], 1.0, id="one-each"),
        pytest.param([5] * 12, [5] * 12, 1.0, id="many-tied"),
    ],
)
def test_log_rank_of_few_or_tied_trials(x: list[float], y: list[float], p: float) -> None:
    (x_times, x_seen), (y_times, y_seen) = (sample(z, {i for i, t in enumerate(z) if t == 60}) for z in (x, y))
    result = log_rank(x_times, x_seen, y_times, y_seen)
    assert result is not None
    assert result.p == pytest.approx(p)


def test_log_rank_without_an_event_is_none() -> None:
    assert log_rank(*sample([60, 60], {0, 1}), *sample([60], {0})) is None


def test_letters_by_hand() -> None:
    differ = {frozenset("ac"), frozenset("ad"), frozenset("bd")}
    assert letters("abcd", differ) == {"a": "a", "b": "ab", "c": "bc", "d": "c"}


@pytest.mark.parametrize("seed", range(20))
def test_a_letter_is_shared_exactly_where_a_pair_does_not_differ(seed: int) -> None:
    random = Random(seed)
    names = "abcdefg"[: random.randint(0, 7)]
    pairs = [frozenset((x, y)) for x in names for y in names if x < y]
    differ = set(random.sample(pairs, random.randint(0, len(pairs))))
    given = letters(names, differ)
    assert all(given.values())
    for pair in pairs:
        x, y = pair
        assert bool(set(given[x]) & set(given[y])) == (pair not in differ)


@pytest.mark.parametrize(("pairs", "repeats"), [(1, 4), (3, 5), (10, 6), (45, 7), (190, 8)])
def test_repeats_that_a_corrected_exact_test_needs(pairs: int, repeats: int) -> None:
    assert repeats_needed(pairs) == repeats
    apart = mann_whitney([1.0] * repeats, [2.0] * repeats).p
    assert holm([apart] + [1.0] * (pairs - 1))[0] < ALPHA
    assert mann_whitney([1.0] * (repeats - 1), [2.0] * (repeats - 1)).p * pairs >= ALPHA
