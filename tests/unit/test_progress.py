"""What a person sees of a run: lines in a file, bars on a terminal of any width."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len
from rich.console import Console

from magma_remote.cli.live import LiveReporter, reporter_for
from magma_remote.cli.progress import PlainReporter, trial_label
from magma_remote.model.canaries import Bugs
from magma_remote.model.image import Recipe
from magma_remote.model.jobs import Job
from magma_remote.model.outcome import Reason
from magma_remote.model.result import Phase, Result
from magma_remote.ports import Running

if TYPE_CHECKING:
    from collections.abc import Callable

    from magma_remote.ports import Reporter

BUGS = Bugs(reached=frozenset({"PNG001", "PNG002"}), triggered=frozenset({"PNG001"}))
RECIPE = Recipe(fuzzer="aflplusplus", target="libpng", build_args={}, digest="0123456789abcdef0123")
ODD = "made of [x] and [bold]y[/bold] and [/z]"
WIDTHS = [80, 40]


def job(repeat: int = 0, program: str = "libpng_read_fuzzer") -> Job:
    return Job(repeat=repeat, fuzzer="aflplusplus", target="libpng", program=program)


def running(phase: Phase = Phase.FUZZING, since: float = 30.0, repeat: int = 0) -> Running:
    return Running(job=job(repeat), cpus=(0, 64), phase=phase, since=since, bugs=BUGS)


def plain(act: Callable[[Reporter], None]) -> list[str]:
    """Lines of a PlainReporter without their times."""
    stream = io.StringIO()
    act(PlainReporter(stream))
    lines = stream.getvalue().splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines)
    return [line[9:] for line in lines]


def squeezed(text: str) -> str:
    """Without blanks: a terminal breaks lines where it must."""
    return re.sub(r"\s", "", text)


def live(act: Callable[[Reporter], None], width: int) -> list[str]:
    """Everything that a LiveReporter ever drew at this width, without colours and cursor movements."""
    stream = io.StringIO()
    with LiveReporter(Console(file=stream, force_terminal=True, width=width, height=24), 60.0) as reporter:
        act(reporter)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\n", stream.getvalue().replace("\x1b[0m", ""))
    return [line for line in re.split(r"[\r\n]+", text) if line.strip()]


def drawn(act: Callable[[Reporter], None], width: int) -> list[str]:
    """The same without colours, to see whole lines of the bars."""
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, color_system=None, width=width, height=24)
    with LiveReporter(console, 60.0) as reporter:
        act(reporter)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    return [line for line in re.split(r"[\r\n]+", text) if line.strip()]


LINES = [
    pytest.param(lambda r: r.note(ODD), ODD, id="note"),
    pytest.param(
        lambda r: r.built(RECIPE, 75), "Built magma/aflplusplus/libpng:0123456789abcdef in 1 min 15 s", id="built"
    ),
    pytest.param(
        lambda r: r.planned(trials=4, kept=0, slots=2, seconds=120),
        "4 trials to run, 2 at once: about 2 min",
        id="plan",
    ),
    pytest.param(
        lambda r: r.planned(trials=1, kept=3, slots=1, seconds=60),
        "1 trial to run (3 more are there already): about 1 min",
        id="plan-resumed",
    ),
    pytest.param(
        lambda r: r.planned(trials=0, kept=3, slots=1, seconds=0),
        "No trial left to run (3 more are there already)",
        id="plan-of-nothing",
    ),
    pytest.param(
        lambda r: r.started(job(), (0, 64)),
        "Started aflplusplus/libpng/libpng_read_fuzzer #0 on CPU 0,64",
        id="started",
    ),
    pytest.param(
        lambda r: r.ended(Result(job=job(), reason=None, bugs=BUGS, warnings=(ODD,), pocs=2)),
        f"Ended aflplusplus/libpng/libpng_read_fuzzer #0: 2 bugs reached, 1 triggered, 2 new PoCs; note: {ODD}",
        id="ended",
    ),
    pytest.param(
        lambda r: r.ended(Result(job=job(), reason=Reason.ENDED_EARLY, message=ODD)),
        f"FAILED aflplusplus/libpng/libpng_read_fuzzer #0 (ended_early): {ODD}",
        id="failed",
    ),
]


@pytest.mark.parametrize(("act", "line"), LINES)
def test_lines_in_a_file(act: Callable[[Reporter], None], line: str) -> None:
    assert plain(act) == [line]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("act", "line"), LINES)
def test_the_same_lines_on_a_terminal(act: Callable[[Reporter], None], line: str, width: int) -> None:
    shown = live(act, width)
    assert squeezed(line) in squeezed("".join(shown))
    assert all(cell_len(found) <= width for found in shown)


def test_a_build_says_its_number_in_a_file_and_not_each_line() -> None:
    def act(reporter: Reporter) -> None:
        reporter.building(RECIPE, 2, 3)
        reporter.build_line("Step 1/9")

    assert plain(act) == ["Image 2 of 3: magma/aflplusplus/libpng:0123456789abcdef"]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "line",
    [
        pytest.param("Step 1/9 : RUN [x] [/bold]", id="brackets"),
        pytest.param("x" * 500, id="long"),
        pytest.param("\x1b[31mred\x1b[2J", id="codes"),
        pytest.param("Reading...\r50%\rdone", id="carriage-returns"),
        pytest.param("日本語" * 40, id="wide"),
        pytest.param("", id="empty"),
    ],
)
def test_a_build_line_fits(line: str, width: int) -> None:
    def act(reporter: Reporter) -> None:
        reporter.building(RECIPE, 1, 1)
        reporter.build_line(line)

    lines = drawn(act, width)
    assert all(cell_len(found) <= width for found in lines)
    assert not any("\x1b" in found for found in lines)
    assert ("[x] [/bold]" in "".join(lines)) == ("[x]" in line)


@pytest.mark.parametrize("width", [200, 110, 80, 60, 40, 20])
def test_bars_fit(width: int) -> None:
    trials = [running(phase, 100_000.0, repeat) for repeat, phase in enumerate(Phase)]
    lines = drawn(lambda reporter: reporter.tick(trials, left=1e6), width)
    assert all(cell_len(line) <= width for line in lines)


@pytest.mark.parametrize("width", [200, 80, 40])
def test_trials_of_one_program_are_told_apart(width: int) -> None:
    lines = drawn(lambda reporter: reporter.tick([running(repeat=7), running(repeat=12)], left=60), width)
    assert [any(f"#{repeat} " in line for line in lines) for repeat in (7, 12)] == [True, True]


@pytest.mark.parametrize("width", [200, 80, 40])
def test_a_row_says_its_phase_and_bugs(width: int) -> None:
    lines = drawn(lambda reporter: reporter.tick([running(Phase.PRUNING)], left=60), width)
    row = next(line for line in lines if "#0" in line)
    assert "pruning seeds 30 s" in row
    assert ("2 reached, 1 triggered" in row) == (width == 200)
    assert ("2 r, 1 t" in row) == (width != 200)


@pytest.mark.parametrize(
    ("phase", "since", "share"),
    [
        (Phase.FUZZING, 0.0, 0.0),
        (Phase.FUZZING, 30.0, 0.5),
        (Phase.FUZZING, 60.0, 1.0),
        (Phase.FUZZING, 90.0, 1.0),
        (Phase.PRUNING, 30.0, 0.0),
    ],
)
def test_a_bar_is_as_long_as_the_time_gone(phase: Phase, since: float, share: float) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=200)
    bar = LiveReporter(console, 60.0)._bar(running(phase, since))
    dim = sum(span.end - span.start for span in bar.spans if span.style == "dim")
    assert len(bar) - dim == round(share * len(bar))


def test_more_trials_than_lines() -> None:
    trials = [running(repeat=repeat) for repeat in range(200)]
    assert len(drawn(lambda reporter: reporter.tick(trials, left=60), 80)) < 60


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_runs(width: int) -> None:
    lines = drawn(lambda reporter: reporter.tick([], left=0), width)
    assert "0 of 0 trials done" in lines[0]


def test_counts_of_all_so_far() -> None:
    def act(reporter: Reporter) -> None:
        reporter.planned(trials=3, kept=0, slots=1, seconds=60)
        reporter.ended(Result(job=job(), reason=None, bugs=Bugs(reached=frozenset({"A"}))))
        reporter.ended(Result(job=job(1), reason=Reason.ENGINE))
        reporter.tick([running()], left=90)

    lines = "".join(drawn(act, 200))
    assert (
        "2 of 3 trials done, 1 failed, 1 running, about 1 min 30 s left; bugs so far: 3 reached, 1 triggered" in lines
    )


def test_a_sign_of_life_where_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def act(reporter: Reporter) -> None:
        for second in range(121):
            now[0] = 1000.0 + second
            reporter.tick([running()], left=60)

    assert len(plain(act)) == 2


@pytest.mark.parametrize(("terminal", "kind"), [(True, LiveReporter), (False, PlainReporter)])
def test_who_reports(terminal: object, kind: type[Reporter], monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    with reporter_for(stream, timeout=60) as reporter:
        assert isinstance(reporter, kind)


def test_a_label() -> None:
    assert trial_label(job(3)) == "aflplusplus/libpng/libpng_read_fuzzer #3"


def test_what_failed_before_the_first_start_counts_once() -> None:
    def act(reporter: Reporter) -> None:
        reporter.ended(Result(job=job(0), reason=Reason.IMAGE, message="no"))
        reporter.planned(trials=2, kept=0, slots=2, seconds=60)
        reporter.ended(Result(job=job(1), reason=None))
        reporter.tick([running(repeat=2)], left=30)

    assert any("2 of 3 trials done, 1 failed, 1 running" in line for line in live(act, 120))
