"""The page: well-formed, self-contained, accessible, honest about what is missing, for campaigns of any shape."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise

import pytest

from magma_remote.model.experiment import Experiment
from magma_remote.model.machine import Machine
from magma_remote.report.analysis import analyse
from magma_remote.report.drawing import Axis
from magma_remote.report.page import render
from magma_remote.report.tables import TABLES
from tests.support.report.generated import generated
from tests.support.report.page import Page
from tests.support.report.written import experiment, lost, trial

MADE = datetime(2026, 1, 31, 12, tzinfo=UTC)
CLOSED = "ar/b cannot be read: Permission denied"
HOSTILE = "<script>\"&'</script>{{7*7}}"

SHAPES = {
    "complete": generated(fuzzers=3, targets=2, programs=2, repeats=5, bugs=5),
    "ten-fuzzers": generated(fuzzers=10, targets=2, repeats=3, bugs=9, lost=5),
    "one-fuzzer": generated(fuzzers=1, targets=1, repeats=4, bugs=3),
    "one-repeat": generated(fuzzers=3, targets=2, repeats=1, bugs=4),
    "two-repeats": generated(fuzzers=2, targets=1, repeats=2, bugs=4),
    "nothing-found": experiment(*(trial(f"{f}/tiff/a/{run}", last=None) for f in "ab" for run in range(3))),
    "reached-only": experiment(*(trial(f"{f}/tiff/a/{run}", reached={"T1": 5}) for f in "ab" for run in range(3))),
    "all-alike": experiment(*(trial(f"{f}/tiff/a/{run}", triggered={"T1": 5}) for f in "ab" for run in range(3))),
    "all-missing": experiment(missing=tuple(lost(f"{f}/tiff/a/{run}") for f in "ab" for run in range(2))),
    "one-missing-all": experiment(
        *(trial(f"a/tiff/p/{run}", triggered={"T1": 5}) for run in range(2)),
        missing=(lost("b/tiff/p/0"), lost("b/tiff/p/1")),
    ),
    "in-an-incomplete-repeat": experiment(
        trial("a/tiff/p/0", triggered={"T1": 5}),
        trial("b/tiff/p/0", reached={"T1": 5}),
        missing=(lost("a/tiff/q/0"), lost("b/tiff/q/0")),
    ),
    "timeout-unknown": experiment(
        trial("a/tiff/p/0", triggered={"T1": 5}),
        trial("b/tiff/p/0", last=40),
        trial("b/tiff/p/1", last=None),
        timeout=None,
    ),
    "nothing-known": Experiment(trials=(trial("a/tiff/p/0", last=None),), missing=()),
    "one-test": experiment(trial("a/tiff/p/0", triggered={"T1": 5}), trial("b/tiff/p/0")),
    "unread": Experiment(
        trials=(trial("a/tiff/p/0"), trial("a/tiff/p/1")), missing=(), problems=(CLOSED,), unread=(CLOSED,)
    ),
    "other-targets": experiment(trial("a/tiff/p/0", triggered={"T1": 1}), trial("b/png/p/0", triggered={"P1": 60})),
    "other-programs": experiment(trial("a/tiff/p/0", triggered={"T1": 1}), trial("b/tiff/q/0")),
    "two-machines": experiment(
        *(trial(f"a/tiff/p/{run}", machine=Machine(host="w1", cpu="Fast", kernel="6.1")) for run in range(2)),
        *(trial(f"b/tiff/p/{run}", machine=Machine(host=f"w{run}", cpu=f"Fas{'st'[run]}")) for run in range(2)),
    ),
    "two-bases": experiment(
        trial("a/tiff/p/0", bases=("ubuntu:18.04@sha256:0123456789abcdef",)),
        trial("b/tiff/p/0", bases=("ubuntu:18.04@sha256:fedcba9876543210", "x@sha256:00")),
        trial("b/png/p/0", bases=("ubuntu:18.04@sha256:0123456789abcdef", "x@sha256:00")),
    ),
    "watched-in-part": experiment(
        *(trial(f"a/tiff/p/{run}", triggered={"T1": 5}, last=10) for run in range(3)),
        *(trial(f"b/tiff/p/{run}", triggered={"T1": 4}) for run in range(3)),
    ),
    "one-machine": experiment(trial("a/tiff/p/0", machine=Machine(host="w1", cpu="Fast", docker="20.10"))),
    "odd": experiment(trial("a/tiff/p/0", problems=("stamps have a gap of 40 s",)), trial("b/tiff/p/0")),
}


@cache
def page(shape: str) -> Page:
    return Page.of(html(shape))


@cache
def html(shape: str) -> str:
    return render(analyse(SHAPES[shape]), title="Results", made=MADE)


every_shape = pytest.mark.parametrize("shape", SHAPES)


@every_shape
def test_it_is_well_formed(shape: str) -> None:
    assert page(shape).errors == []
    assert html(shape).startswith("<!doctype html>")


@every_shape
def test_it_needs_nothing_beside_it_and_no_script(shape: str) -> None:
    found = page(shape)
    tags = {element.tag for element in found.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "base"}
    assert all(re.fullmatch(r"#[a-z0-9-]+|data/[a-z_]+\.(csv|json)", link) for link in found.values("href"))
    assert "url(" not in html(shape)
    assert "@import" not in html(shape)


@every_shape
def test_every_link_within_it_leads_somewhere_and_no_id_is_there_twice(shape: str) -> None:
    ids = page(shape).values("id")
    assert len(ids) == len(set(ids))
    targets = [link[1:] for link in page(shape).values("href") if link.startswith("#")]
    assert set(targets + page(shape).values("aria-labelledby")) <= set(ids)


@every_shape
def test_tables_have_captions_and_scopes_and_figures_have_names(shape: str) -> None:
    found = page(shape)
    assert len(found.all("caption")) == len(found.all("table"))
    assert all(element.attributes.get("scope") in {"col", "row"} for element in found.all("th"))
    for element in found.all("svg"):
        assert element.attributes.get("aria-hidden") == "true" or element.attributes.get("aria-label")
    headings = [int(element.tag[1]) for element in found.elements if re.fullmatch("h[1-6]", element.tag)]
    assert headings[0] == headings.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(headings) if earlier != 2)


@every_shape
def test_no_figure_is_a_name_of_the_program(shape: str) -> None:
    assert not re.search(r"\b(nan|inf|None|True|False|Undefined|Kind)\b", page(shape).words)
    assert not re.search(r"nan|inf\b", " ".join(page(shape).values("d") + page(shape).values("style")))


@every_shape
def test_every_missing_trial_is_named_with_its_reason(shape: str) -> None:
    for missing in SHAPES[shape].missing:
        assert f"{missing.fuzzer}/{missing.target}/{missing.program} #{missing.run}" in page(shape).words
        assert missing.message in page(shape).words


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ("complete", "Complete: all 60 trials are here"),
        ("ten-fuzzers", "Incomplete: 55 of 60 trials are here, 5 are missing"),
        ("one-missing-all", "Incomplete: 2 of 4 trials are here, 2 are missing"),
        ("one-machine", "Complete: the one trial is here"),
        ("one-test", "whatever they found: there are too few repeats for that."),
        ("nothing-known", "1 trial, none known to be missing"),
        ("unread", "2 trials can be read, and 1 folder of trials cannot"),
        ("unread", CLOSED),
        ("nothing-known", "How many trials were asked for is written nowhere"),
        ("timeout-unknown", "TIMEOUT is not known. The last stamp of all trials, 1 min, stands in for it"),
        ("one-repeat", "With 1 repeat no test can tell any two of 3 fuzzers apart on a target"),
        ("ten-fuzzers", "45 pairs and a level of 5 % take 7 repeats at least"),
        ("other-programs", "their figures do not compare: a: p; b: q"),
        ("odd", "stamps have a gap of 40 s"),
        ("one-fuzzer", "One fuzzer has nobody to be compared with"),
        ("nothing-found", "No fuzzer reached a bug."),
        ("all-missing", "No trial is here: nothing is known of what it found."),
        ("other-targets", "Left out, since one fuzzer alone ran there: png, tiff."),
        ("reached-only", "Reached, but triggered in no complete repeat while it was watched"),
        ("all-alike", "5 s (no interval: all repeats alike)"),
        ("one-repeat", "(no interval: one repeat)"),
        ("other-targets", "it did not run on png"),
        ("in-an-incomplete-repeat", "in a repeat that is not complete, or after it was watched"),
        ("in-an-incomplete-repeat", "triggered in no complete repeat while it was watched"),
        ("all-missing", "On which machines trials ran is not written down here"),
        ("watched-in-part", "Triggered in 6 of 6 repeats, 3 of them watched in part, by every fuzzer."),
        ("watched-in-part", "6 of 6 3 watched in part 6 of 6 2 of 2 b 4 s (no interval: all repeats alike)"),
        ("two-machines", "Trials ran on CPUs of different models: Fass (1 trial), Fast (3 trials)."),
        ("two-machines", "a b w0 Fass – 0 1 w1 Fast – 0 1 w1 Fast 6.1 2 0"),  # noqa: RUF001 - an en dash, as the page has it
        (
            "two-bases",
            "2 different builds of ubuntu:18.04: sha256:0123456789ab for a, b; sha256:fedcba987654 for b. Compilers",
        ),
        ("one-machine", "w1 Fast 20.10 1"),
        (
            "complete",
            "Not in the file, and so by default: WORKER_MODE logical, CAMPAIGN_WORKERS 1, CACHE_ON_DISK false,",
        ),
        ("nothing-known", "On which machines trials ran is not written down here"),
    ],
)
def test_what_is_to_be_known_is_told(shape: str, told: str) -> None:
    assert told in page(shape).words


@cache
def touched() -> str:
    """The page of a campaign in which c has one of its three repeats."""
    found = experiment(
        *(trial(f"{f}/tiff/p/{run}", triggered={"T1": 5 + run}) for f in "ab" for run in range(3)),
        trial("c/tiff/p/0", triggered={"T1": 9, "T2": 9}),
        missing=(lost("c/tiff/p/1"), lost("c/tiff/p/2")),
    )
    return render(analyse(found), title="x", made=MADE)


@pytest.mark.parametrize(
    ("part", "told"),
    [
        pytest.param("counts", "1 of 3 repeats", id="bugs-per-repeat"),
        pytest.param("bugs", "c 1 of 3", id="bug-by-fuzzer"),
        pytest.param("curves", "Triggered in 7 of 7 repeats of the 9 planned", id="bug"),
        pytest.param("curves", "1 of 1, 3 planned", id="curve"),
        pytest.param("curves", "Fuzzer c 1 of 3 repeats a a", id="log-rank"),
        pytest.param("pairs", "Fuzzer c 1 of 3 repeats a b", id="pairs-above"),
        pytest.param("pairs", "c 1 of 3 repeats · 1.00", id="pairs-left"),
        pytest.param("sole", "1 of 1 3 planned", id="found-by-one"),
        pytest.param("difficulty", "c 9 s (no interval: one repeat) 1 of 3 repeats", id="soonest"),
        pytest.param("difficulty", "7 of 7 9 planned", id="difficulty"),
    ],
)
def test_figures_that_a_missing_trial_touches_say_so(part: str, told: str) -> None:
    source = touched().partition(f'<section id="{part}"')[2].partition("</section>")[0]
    assert told in Page.of(source).words


def test_where_others_lack_repeats_the_sole_finder_is_not_sure() -> None:
    found = experiment(
        *(trial(f"a/tiff/p/{run}", triggered={"T1": 5}) for run in range(3)),
        trial("b/tiff/p/0"),
        missing=(lost("b/tiff/p/1"), lost("b/tiff/p/2")),
    )
    source = render(analyse(found), title="x", made=MADE)
    assert "0 of 1 3 planned b: 2 repeats missing" in Page.of(source).words


@pytest.mark.parametrize("shape", ["ten-fuzzers", "complete", "in-an-incomplete-repeat", "reached-only"])
def test_the_table_of_all_bugs_says_what_its_data_say(shape: str) -> None:
    words = Page.of(html(shape).partition('<section id="difficulty"')[2]).words
    rows = list(TABLES["bugs"](analyse(SHAPES[shape])))
    assert rows
    for row in rows:
        repeats, planned = row["repeats"], row["expected"]
        triggered, reached = (f"{row[kind]} of {repeats}" if repeats else "–" for kind in ("triggered", "reached"))  # noqa: RUF001 - an en dash, as the page has it
        lacking = "" if repeats else " no repeat is complete"
        lacking += f" {planned} planned" if planned > repeats else ""
        fuzzers = f"{row['fuzzers_triggering']} of {row['fuzzers']}"
        assert f"{row['rank']} {row['bug']} {row['target']} {triggered}{lacking} {reached} {fuzzers} " in words


@every_shape
def test_the_data_say_of_how_many_repeats_each_figure_is(shape: str) -> None:
    report = analyse(SHAPES[shape])
    for name in ("counts", "times", "curves", "pairs_counts", "pairs_times", "bugs", "sole"):
        for row in TABLES[name](report):
            of = [key for key in row if key.startswith("expected")]
            assert of
            for key in of:
                assert 0 <= row[key.replace("expected", "repeats")] <= row[key]


def test_the_first_words_say_it_too() -> None:
    assert "Most bugs per repeat: c, 2.0 (1 of 3 repeats)" in Page.of(touched()).words


def test_whatever_a_name_holds_is_text() -> None:
    hostile = experiment(
        trial("a/tiff/p/0", triggered={HOSTILE: 5}, problems=(HOSTILE,)), trial("b/tiff/p/0", reached={HOSTILE: 5})
    )
    source = render(analyse(hostile), title=HOSTILE, made=MADE)
    found = Page.of(source)
    assert found.errors == []
    assert found.all("script") == []
    assert HOSTILE in found.words
    assert "49" not in found.words


def test_an_effect_is_not_called_otherwise_than_its_figure_says() -> None:
    """0.06 away from 0.5 is small, and five ninths are less."""
    counts = {"a": (0, 2, 3), "b": (0, 1, 3)}
    found = experiment(
        *(
            trial(f"{fuzzer}/tiff/p/{run}", triggered=dict.fromkeys("ABC"[:count], 5))
            for fuzzer, of in counts.items()
            for run, count in enumerate(of)
        )
    )
    words = Page.of(render(analyse(found), title="Results", made=MADE)).words
    assert "a · 0.556 negligible p 1 b 0.444 negligible p 1 ·" in words


def test_an_axis_is_logarithmic_from_edge_to_edge() -> None:
    axis = Axis(first=1, last=10_000)
    assert [axis.x(seconds) for seconds in (1, 10, 100, 10_000)] == [14, 54, 94, 174]
    assert (axis.x(0), axis.x(20_000)) == (14, 174)
    assert axis.ticks()[-1] == (174, "2.8 h")


def test_curves_are_drawn_inside_their_frame() -> None:
    numbers = [
        tuple(map(float, re.findall(r"-?[0-9.]+", path.attributes["d"] or "")))
        for path in page("complete").all("path")
        if path.attributes.get("class") in {"line", "band", "reached"} and "figure" in path.within
    ]
    assert len(numbers) > 20
    assert all(0 <= number <= 180 for path in numbers for number in path)


@pytest.mark.parametrize(
    ("repeats", "told"), [pytest.param(3, False, id="too few"), pytest.param(4, True, id="enough")]
)
def test_the_table_of_bugs_says_who_is_told_apart(repeats: int, told: bool) -> None:
    found = experiment(
        *(trial(f"a/tiff/p/{run}", triggered={"T1": 5}) for run in range(repeats)),
        *(trial(f"b/tiff/p/{run}", reached={"T1": 5}) for run in range(repeats)),
    )
    made = render(analyse(found), title="Results", made=MADE)
    table = made[made.index('<section id="bugs"') : made.index('<section id="curves"')]
    assert re.findall(r'<span class="letters">(\w+)</span>', table) == (["a", "b"] if told else [])
