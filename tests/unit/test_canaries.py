"""What Magma's monitor leaves, whole or cut short at any byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_remote.model.canaries import Bugs, Canary, parse_row
from magma_remote.runtime.trial import monitor

if TYPE_CHECKING:
    from pathlib import Path

TWO = "PNG001_R,PNG001_T,PNG002_R,PNG002_T\n12,3,4,0\n"
PNG001 = ("PNG001", 12, 3)
PNG002 = ("PNG002", 4, 0)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        pytest.param(TWO, [PNG001, PNG002], id="whole"),
        pytest.param(TWO.rstrip("\n"), [PNG001, PNG002], id="no-line-end"),
        pytest.param(TWO.replace("\n", "\r\n"), [PNG001, PNG002], id="dos"),
        pytest.param(TWO + "99,99,99,99\n", [PNG001, PNG002], id="more-rows"),
        pytest.param("PNG001_R,PNG001_T,PNG002_R,PNG002_T\n12,3,4", [PNG001], id="cut-in-the-row"),
        pytest.param("PNG001_R,PNG001_T,PNG002_R,PNG002_T\n12,3,", [PNG001], id="cut-after-a-comma"),
        pytest.param("PNG001_R,PNG001_T,PNG0", [], id="cut-in-the-header"),
        pytest.param("PNG001_R,PNG001_T\n", [], id="no-row"),
        pytest.param("PNG001_R,PNG001_T\n\n", [], id="blank-row"),
        pytest.param("\n12,3\n", [], id="blank-header"),
        pytest.param("", [], id="empty"),
        pytest.param("A_R,A_T,A_X,B,_R\n1,0,7,8,9\n", [("A", 1, 0)], id="other-columns"),
        pytest.param("A_T,A_R\n2,5\n", [("A", 5, 2)], id="other-order"),
        pytest.param("A_R,B_R,B_T\n1,2,3\n", [("B", 2, 3)], id="half-a-pair"),
        pytest.param("A_R,A_T,B_R,B_T\n-1,0,1,1\n", [("B", 1, 1)], id="negative"),
        pytest.param("A_R,A_T,B_R,B_T\nx,0,1,1\n", [("B", 1, 1)], id="no-number"),
        pytest.param("MY_R_R,MY_R_T\n1,1\n", [("MY_R", 1, 1)], id="name-with-the-suffix"),
        pytest.param(f"A_R,A_T,B_R,B_T\n{'9' * 5000},1,2,2\n", [("B", 2, 2)], id="beyond-any-count"),
    ],
)
def test_rows(text: str, rows: list[tuple[str, int, int]]) -> None:
    expected = [Canary(bug=bug, reached=reached, triggered=triggered) for bug, reached, triggered in rows]
    assert list(parse_row(text)) == expected


def test_a_very_long_line() -> None:
    assert parse_row("x" * 200_000 + "\n" + "1" * 200_000) == ()


@given(st.text(alphabet=st.one_of(st.sampled_from('AB_RT,10\n\r"\0'), st.characters()), max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    for canary in parse_row(text):
        assert canary.reached >= 0
        assert canary.triggered >= 0


@given(st.integers(0, len(TWO)))
def test_any_start_of_a_file_says_nothing_wrong(length: int) -> None:
    found = Bugs.of(parse_row(TWO[:length]))
    assert found.triggered <= {"PNG001"}
    assert found.reached <= {"PNG001", "PNG002"}


def test_bugs_are_those_above_zero() -> None:
    assert Bugs.of(parse_row(TWO)) == Bugs(reached=frozenset({"PNG001", "PNG002"}), triggered=frozenset({"PNG001"}))


def test_bugs_of_two_trials() -> None:
    one, other = Bugs(reached=frozenset("A"), triggered=frozenset("A")), Bugs(reached=frozenset("B"))
    assert one | other == Bugs(reached=frozenset("AB"), triggered=frozenset("A"))


def dump(shared: Path, name: str, text: str = TWO) -> None:
    (shared / "monitor").mkdir(exist_ok=True)
    (shared / "monitor" / name).write_text(text)


def test_stamps_are_numbers_in_their_order(tmp_path: Path) -> None:
    for name in ("10", "5", "100", "tmp", "x5", "-5", "٣"):
        dump(tmp_path, name)
    assert monitor.stamps(tmp_path) == [5, 10, 100]


def test_the_newest_dump_with_a_row_counts(tmp_path: Path) -> None:
    dump(tmp_path, "5", "A_R,A_T\n1,0\n")
    dump(tmp_path, "10", "A_R,A_T\n1,1\n")
    dump(tmp_path, "15", "A_R,A_T\n")
    (tmp_path / "monitor/20").mkdir()
    assert monitor.bugs(tmp_path).triggered == {"A"}


def test_no_monitor_yet(tmp_path: Path) -> None:
    assert monitor.stamps(tmp_path) == []
    assert monitor.bugs(tmp_path) == Bugs()
    assert not monitor.is_monitored(tmp_path)


def test_a_monitor_that_saw_no_canary(tmp_path: Path) -> None:
    (tmp_path / "canaries.raw").touch()
    assert monitor.is_monitored(tmp_path)


def test_a_monitor_that_saw_one(tmp_path: Path) -> None:
    dump(tmp_path, "0")
    assert monitor.is_monitored(tmp_path)
