"""Reading `lscpu -bp`: what real machines print, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_remote.errors import CpuError
from magma_remote.model.lscpu import Cpu, parse_lscpu
from tests.support.places import DATA

if TYPE_CHECKING:
    from pathlib import Path

LSCPU = DATA / "lscpu"


def triples(text: str) -> list[tuple[int, int, int]]:
    return [(cpu.number, cpu.core, cpu.socket) for cpu in parse_lscpu(text)]


@pytest.mark.parametrize("path", sorted(LSCPU.glob("*.txt")), ids=lambda path: path.stem)
def test_every_known_machine_reads(path: Path) -> None:
    cpus = parse_lscpu(path.read_text(encoding="utf-8"))
    assert [cpu.number for cpu in cpus] == sorted({cpu.number for cpu in cpus})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("0,0,0\n1,0,0\n", [(0, 0, 0), (1, 0, 0)], id="no-header"),
        pytest.param("# Socket,CPU,Core\n1,0,5\n", [(0, 5, 1)], id="columns-by-header"),
        pytest.param("# cpu,online,core\n0,Y,0\n1,N,0\n2,-,1\n", [(0, 0, 0), (2, 1, 0)], id="online-column"),
        pytest.param("# CPU\n0\n3\n", [(0, 0, 0), (3, 3, 0)], id="only-numbers"),
        pytest.param("0,,\n1,,\n", [(0, 0, 0), (1, 1, 0)], id="empty-columns"),
        pytest.param("0,-,-\n1,-,-\n", [(0, 0, 0), (1, 1, 0)], id="dashes"),
        pytest.param("0,0,0\n1,,\n", [(0, 0, 0)], id="offline-is-without-core"),
        pytest.param("0,0,0\n1,0,1\n", [(0, 0, 0), (1, 0, 1)], id="cores-counted-per-socket"),
        pytest.param("\r\n 2 , 1 , 0 \r\n1,0,0\r\n", [(1, 0, 0), (2, 1, 0)], id="spaces-and-order"),
    ],
)
def test_reads(text: str, expected: list[tuple[int, int, int]]) -> None:
    assert triples(text) == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", "no online CPU", id="empty"),
        pytest.param("# CPU,Core,Socket\n", "no online CPU", id="header-alone"),
        pytest.param("# CPU,Online\n0,N\n", "no online CPU", id="all-offline"),
        pytest.param("Architecture:  x86_64\nCPU(s): 2\n", "line 1 .*too few columns", id="plain-lscpu"),
        pytest.param("0,0,0\n0,0,0\n", "line 2 .*CPU 0 was on line 1", id="duplicate"),
        pytest.param("0,0,0\n,0,0\n", "line 2 .*no CPU number", id="no-number"),
        pytest.param("0,zero,0\n", "line 1 .*core is 'zero'", id="core-word"),
        pytest.param("0,0,-1\n", "line 1 .*socket is '-1'", id="negative"),
        pytest.param("0x1,0,0\n", "line 1 .*cpu is '0x1'", id="hex"),
        pytest.param("9999999,0,0\n", "line 1 .*cpu is", id="huge"),
        pytest.param("٣,0,0\n", "line 1 .*cpu is", id="other-digits"),
        pytest.param("# CPU,Online,Core,Socket\n0,maybe,0,0\n", "line 2 .*online is 'maybe'", id="online"),
        pytest.param("0,0,0\n1,0\n", "line 2 .*too few columns", id="cut-off"),
    ],
)
def test_refuses(text: str, told: str) -> None:
    with pytest.raises(CpuError, match=told):
        parse_lscpu(text)


@given(st.text(alphabet="0123,-# CPUcore\n\r\x00é") | st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        cpus = parse_lscpu(text)
    except CpuError:
        return
    assert cpus


@given(st.dictionaries(st.integers(0, 500), st.tuples(st.integers(0, 63), st.integers(0, 7)), min_size=1))
def test_what_is_printed_is_read_back(there: dict[int, tuple[int, int]]) -> None:
    cpus = tuple(Cpu(number=n, core=core, socket=s) for n, (core, s) in sorted(there.items()))
    text = "# CPU,Core,Socket,Node,,L1d\n" + "".join(f"{c.number},{c.core},{c.socket},0,,0\n" for c in cpus)
    assert parse_lscpu(text) == cpus
