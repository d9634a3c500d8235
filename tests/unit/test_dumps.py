"""What a trial's dumps say, in whatever order and shape they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_remote.model.dumps import Dumps, is_stamp
from tests.support.workdirs.merged import dump, usual

if TYPE_CHECKING:
    from collections.abc import Mapping


def _dumps(texts: Mapping[str, str | bytes]) -> Dumps:
    dumps = Dumps()
    for name, text in texts.items():
        dumps.add(int(name), text.encode() if isinstance(text, str) else text)
    return dumps


USUAL = ({"AAH001": 5, "AAH003": 10}, {"AAH001": 15})


@pytest.mark.parametrize("order", [1, -1], ids=["in order", "backwards"])
def test_first_stamps(order: int) -> None:
    reached, triggered, problems = _dumps(dict(list(usual().items())[::order])).findings()
    assert (reached, triggered) == USUAL
    assert problems == ()


@pytest.mark.parametrize(
    ("texts", "reached", "triggered", "told"),
    [
        pytest.param({"5": dump(0, 0, 0, 0)}, {}, {}, [], id="nothing seen"),
        pytest.param({"5": dump(10, 0, 100, 0)}, {"AAH001": 5, "AAH003": 5}, {}, [], id="round counts"),
        pytest.param(
            {"5": dump(1, 0, 0, 0), "10": dump(0, 0, 1, 0)},
            {"AAH001": 5, "AAH003": 10},
            {},
            ["counts that shrink: AAH001_R was above zero at 5 s and zero at 10 s"],
            id="shrinking",
        ),
        pytest.param(
            {"5": dump(1, 0, 0, 0), "10": "1,0"},
            {"AAH001": 5},
            {},
            ["dumps without a row: monitor/10"],
            id="a header only",
        ),
        pytest.param({"5": "", "10": ""}, {}, {}, ["dumps without a row: monitor/5 and 1 more"], id="empty"),
        pytest.param(
            {"5": dump(1, 0), "10": dump(2, 0), "15": dump(1, 0, 1, 1)},
            {"AAH001": 5, "AAH003": 15},
            {"AAH003": 15},
            ["rows that are cut short or have no whole counts: monitor/5 and 1 more"],
            id="short rows",
        ),
        pytest.param(
            {"5": dump(7, "", "x", -1)}, {"AAH001": 5}, {}, ["rows that are cut short"], id="cells that are no counts"
        ),
        pytest.param({"5": dump(1, 2, header="A,_R")}, {}, {}, ["rows that are cut"], id="columns of no bug"),
        pytest.param({"5": b"\0" * 40}, {}, {}, ["dumps without a row"], id="zeros"),
        pytest.param({"5": b"A_R,A_T\r\n3,0\r\n"}, {"A": 5}, {}, [], id="line ends"),
        pytest.param({"5": "A_R,A_T\n\n3,0\n9,9\n"}, {"A": 5}, {}, [], id="only the first row counts"),
    ],
)
def test_rows(
    texts: dict[str, str | bytes], reached: dict[str, int], triggered: dict[str, int], told: list[str]
) -> None:
    found = _dumps(texts).findings()
    assert found[:2] == (reached, triggered)
    assert len(found[2]) == len(told)
    assert all(problem.startswith(said) for problem, said in zip(found[2], told, strict=True))


CELLS = st.sampled_from([b"0", b"00", b"7", b"10", b"01", b"203", b"", b"5 5", b"-1", b"x1", b"1.0"])


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=12))
def test_rows_in_any_order_of_forms(rows: list[list[bytes]]) -> None:
    dumps = Dumps()
    for number, cells in enumerate(rows, start=1):
        dumps.add(number, b"A_R,A_T\n" + b",".join(cells) + b"\n")
    for kind, column in zip(dumps.findings()[:2], zip(*rows, strict=True), strict=True):
        seen = [number for number, cell in enumerate(column, start=1) if cell.isdigit() and int(cell)]
        assert kind == ({"A": seen[0]} if seen else {})


def test_names_that_are_no_stamps_are_told() -> None:
    dumps = _dumps({"5": dump(1, 0, 0, 0)})
    dumps.refuse("x\x1b[2J")
    dumps.refuse("y")
    assert dumps.findings()[2] == ('names in monitor/ that are no stamps: "x\\x1b[2J" and 1 more',)


def _stamped(*stamps: int) -> Dumps:
    return _dumps({str(stamp): dump(1, 0, 0, 0) for stamp in stamps})


@pytest.mark.parametrize(
    ("stamps", "timeout", "poll", "told"),
    [
        pytest.param(range(5, 61, 5), 60, 5, [], id="all"),
        pytest.param(range(25, 61, 5), 60, 5, [], id="nothing reached at first"),
        pytest.param(range(5, 51, 5), 60, 5, [], id="the last polls are not there"),
        pytest.param([5, 10, 30, 35], 40, 5, ["3 polls are missing, the longest gap is from 10 s to 30 s"], id="gap"),
        pytest.param([5, 10, 15, 30, 35], None, None, ["2 polls are missing"], id="gap without POLL"),
        pytest.param([5, 10, 16, 21], 20, 5, ["1 stamps are not 5 s after the one before"], id="off"),
        pytest.param([5, 11, 17, 23], 24, 5, ["3 stamps are not 5 s after"], id="drifting"),
        pytest.param(
            range(5, 46, 5),
            60,
            5,
            ["the last stamp is 45 s of 60 s: the monitor ended early, or its stamps drift"],
            id="early",
        ),
        pytest.param(range(5, 91, 5), 60, 5, ["the last stamp is 90 s, after the TIMEOUT of 60 s"], id="late"),
        pytest.param(range(5, 85901, 5), 86400, 5, [], id="a day's usual drift"),
        pytest.param([5], 5, 5, [], id="one"),
        pytest.param([], 60, 5, ["no canary was ever reached"], id="none"),
    ],
)
def test_stamps(stamps: range | list[int], timeout: float | None, poll: int | None, told: list[str]) -> None:
    found = _stamped(*stamps).timing(timeout=timeout, poll=poll)
    assert len(found) == len(told)
    assert all(problem.startswith(said) for problem, said in zip(found, told, strict=True))


def test_a_stamp_that_stands_twice_is_told() -> None:
    dumps = _stamped(5, 10)
    dumps.add(5, dump(1, 0, 0, 0).encode())
    assert dumps.timing(timeout=None, poll=5) == ("1 stamps stand twice in the tarball: all of them were read",)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("5", True),
        ("0", True),
        ("tmp", False),
        ("-5", False),
        ("5.0", False),
        ("", False),
        ("\u0665", False),
        ("9" * 19, False),
    ],
)
def test_names_of_dumps(name: str, expected: bool) -> None:
    assert is_stamp(name) is expected


def test_a_stamp_is_a_number_that_every_reader_keeps() -> None:
    assert is_stamp("9" * 15)
    assert int("9" * 15) < 2**53
    assert not is_stamp("1" + "0" * 15)
