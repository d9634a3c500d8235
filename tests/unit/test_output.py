"""A container's output: its log as it was, the two lines that count, a tail for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from magma_remote.adapters.memory_container import LAUNCHED, TERMINATED
from magma_remote.ports import LogLine
from magma_remote.runtime.trial.output import await_launch, save_output

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def lines(*texts: str) -> list[LogLine]:
    """Lines with their line ends, one a second."""
    return [LogLine(at=float(at), text=f"{text}\n") for at, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("texts", "launched", "terminated"),
    [
        pytest.param([], None, None, id="nothing"),
        pytest.param(["pruned", LAUNCHED, "fuzz", TERMINATED], 1.0, 3.0, id="whole"),
        pytest.param([LAUNCHED, LAUNCHED, TERMINATED, TERMINATED], 0.0, 3.0, id="first-and-last"),
        pytest.param([LAUNCHED, TERMINATED, LAUNCHED], 0.0, 1.0, id="said-again"),
        pytest.param(["Campaign launched at last", "x"], None, None, id="no-time-in-it"),
        pytest.param([f"fuzzer: {LAUNCHED}", f"ok {TERMINATED}"], 0.0, 1.0, id="after-an-unfinished-line"),
        pytest.param(["No seeds remaining! Campaign will not be launched."], None, None, id="no-seeds"),
        pytest.param([TERMINATED], None, 0.0, id="terminated-alone"),
    ],
)
def test_the_lines_that_count(
    tmp_path: Path, texts: list[str], launched: float | None, terminated: float | None
) -> None:
    output = save_output(lines(*texts), tmp_path / "log")
    assert (output.launched_at, output.terminated_at) == (launched, terminated)
    assert (tmp_path / "log").read_text() == "".join(f"{text}\n" for text in texts)
    assert output.problems == ()


def test_a_log_without_a_line_end(tmp_path: Path) -> None:
    output = save_output([LogLine(at=1.0, text=LAUNCHED), LogLine(at=2.0, text=TERMINATED)], tmp_path / "log")
    assert (output.launched_at, output.terminated_at) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("\x1b[1;31mABORT\x1b[0m : no", ("ABORT : no",), id="colours"),
        pytest.param("\x1b(0lqqk\x1b(B", ("lqqk",), id="line-drawing"),
        pytest.param("\x1b[2J\x1b[H", (), id="clear-screen-alone"),
        pytest.param("   ", (), id="blank"),
        pytest.param("50%\r100%", ("50%100%",), id="carriage-return"),
        pytest.param("bell\a", ("bell",), id="bell"),
        pytest.param("  indented  ", ("  indented",), id="indented"),
        pytest.param("[x] été ✓", ("[x] été ✓",), id="text"),
    ],
)
def test_the_tail_is_for_people(tmp_path: Path, text: str, shown: tuple[str, ...]) -> None:
    assert save_output(lines(text), tmp_path / "log").tail == shown
    assert (tmp_path / "log").read_bytes().decode() == f"{text}\n"


def test_the_tail_is_the_end(tmp_path: Path) -> None:
    output = save_output(lines(*map(str, range(100))), tmp_path / "log")
    assert output.tail == tuple(map(str, range(80, 100)))


def test_a_log_that_cannot_be_opened_costs_no_trial(tmp_path: Path) -> None:
    output = save_output(lines(LAUNCHED, TERMINATED), tmp_path / "none/log")
    assert (output.launched_at, output.terminated_at) == (0.0, 1.0)
    assert len(output.problems) == 1
    assert "No such file" in output.problems[0]


def test_a_log_that_cannot_be_written_costs_no_trial(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("/dev/full")
    output = save_output(lines(LAUNCHED, "x" * (1 << 20), TERMINATED), tmp_path / "log")
    assert (output.launched_at, output.terminated_at) == (0.0, 2.0)
    assert len(output.problems) == 1
    assert "No space left" in output.problems[0]


def test_a_short_log_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("/dev/full")
    assert "No space left" in save_output(lines(LAUNCHED), tmp_path / "log").problems[0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=5))
def test_any_output_can_be_read(tmp_path: Path, texts: list[str]) -> None:
    output = save_output(lines(*texts), tmp_path / "log")
    assert all(line.isprintable() and line.strip() for line in output.tail)
    assert (output.launched_at, output.terminated_at) == (None, None)


def test_reading_ends_at_the_launch() -> None:
    def endless() -> Iterator[LogLine]:
        yield from lines("pruned", LAUNCHED)
        raise AssertionError("it reads on")

    assert await_launch(endless())
    assert not await_launch(lines("pruned"))
