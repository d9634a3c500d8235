"""Dumps out of tarballs of every make, cut and damaged ones too."""

from __future__ import annotations

import os
import subprocess
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from magma_remote.errors import CorruptError
from magma_remote.runtime.workdir.tarball import read_tarball
from tests.support.workdirs.merged import Ball, a_ball, cut, dump, usual

if TYPE_CHECKING:
    from pathlib import Path

LONG = {f"findings/{'x' * 150}/{'y' * 120}": "long", f"findings/{'é' * 60}": "wide"}


def _stamps(path: Path) -> list[int]:
    dumps, odd = read_tarball(path)
    assert dumps is not None
    assert odd == ()
    assert dumps.findings()[:2] == ({"AAH001": 5, "AAH003": 10}, {"AAH001": 15})
    return sorted(dumps.stamps)


@pytest.mark.parametrize(
    "ball",
    [
        pytest.param(a_ball(), id="usual"),
        pytest.param(a_ball(others=LONG), id="gnu-long-names"),
        pytest.param(replace(a_ball(others=LONG), format=tarfile.PAX_FORMAT), id="pax-long-names"),
        pytest.param(replace(a_ball(), format=tarfile.USTAR_FORMAT, root="a" * 90 + "/" + "b" * 60), id="ustar-prefix"),
        pytest.param(replace(a_ball(), root="shared/run"), id="deeper"),
        pytest.param(replace(a_ball(), root="x" * 200, format=tarfile.PAX_FORMAT), id="pax-dumps"),
        pytest.param(replace(a_ball(), root="x" * 200), id="gnu-long-dumps"),
        pytest.param(replace(a_ball(), links={"findings/l": "x" * 150}), id="long-link"),
        pytest.param(a_ball(others={"findings/big": b"\0" * 70_000, "findings/tail": "x" * 513}), id="contents"),
        pytest.param(
            a_ball(others={"findings/monitor/5": dump(1, 1, 1, 1), "findings/x.monitor": ""}), id="deeper-ones"
        ),
        pytest.param(a_ball({**usual(), "tmp": "half"}), id="tmp"),
    ],
)
def test_any_make(tmp_path: Path, ball: Ball) -> None:
    ball.tar(tmp_path / "ball.tar")
    assert _stamps(tmp_path / "ball.tar") == [5, 10, 15, 20]
    with tarfile.open(tmp_path / "ball.tar") as tar:
        assert f"{ball.root}/monitor/5" in tar.getnames(), "it is not the tarball that it is to be"


@pytest.mark.parametrize("order", [1, -1], ids=["forward", "backward"])
def test_any_order(tmp_path: Path, order: int) -> None:
    ball = a_ball(others={"findings/monitor/5": dump(1, 1, 1, 1)})
    ball.tar(tmp_path / "ball.tar", order=sorted(ball.files)[::order])
    assert _stamps(tmp_path / "ball.tar") == [5, 10, 15, 20]


@pytest.mark.parametrize("format_", ["gnu", "oldgnu", "posix", "ustar", "v7"])
def test_as_tar_makes_it(tmp_path: Path, format_: str) -> None:
    a_ball(others={"findings/0": "x"}).plain(tmp_path / "shared")
    with (tmp_path / "shared/findings/holes").open("wb") as sparse:
        for at in range(0, 40 << 20, 1 << 20):
            sparse.seek(at)
            sparse.write(b"x" * 4096)
    flags = ["--sparse"] if format_ in {"gnu", "oldgnu", "posix"} else ["--exclude=holes"]
    command: list[str | Path] = [
        "tar",
        *flags,
        f"--format={format_}",
        "-cf",
        tmp_path / "ball.tar",
        "-C",
        tmp_path / "shared",
        ".",
    ]
    subprocess.run(command, check=True)
    assert _stamps(tmp_path / "ball.tar") == [5, 10, 15, 20]


def _size(path: Path) -> int:
    """Without the blocks of zeros that tar fills up with."""
    a_ball().tar(path)
    with tarfile.open(path) as tar:
        tar.getmembers()
        return tar.offset - 512


@pytest.mark.parametrize("missing", [-512, 0, 1, 512, 700, 1024, 4000])
def test_a_cut_tarball_is_told(tmp_path: Path, missing: int) -> None:
    path = tmp_path / "ball.tar"
    cut(path, _size(path) - missing)
    with pytest.raises(CorruptError, match=r"it is cut after \d+ bytes"):
        read_tarball(path)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"x" * 10_240, id="no tar"),
        pytest.param(b"\x1f\x8b" + bytes(10_240), id="gzip"),
    ],
)
def test_what_is_no_tarball_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "ball.tar").write_bytes(data)
    with pytest.raises(CorruptError, match=r"cut|damaged"):
        read_tarball(tmp_path / "ball.tar")


@pytest.mark.parametrize("at", [124, 257])
def test_a_damaged_header_is_told(tmp_path: Path, at: int) -> None:
    path = tmp_path / "ball.tar"
    a_ball().tar(path)
    data = bytearray(path.read_bytes())
    data[512 * 3 + at] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(CorruptError):
        read_tarball(path)


def _made(path: Path) -> bytearray:
    a_ball().tar(path)
    return bytearray(path.read_bytes())


def test_a_name_that_was_altered_is_damage(tmp_path: Path) -> None:
    """Else a bug would have been found at another second."""
    data = _made(tmp_path / "ball.tar")
    at = data.index(b"./monitor/15\0")
    data[at + 10 : at + 12] = b"95"
    (tmp_path / "ball.tar").write_bytes(data)
    with pytest.raises(CorruptError, match=f"it is damaged at byte {at}"):
        read_tarball(tmp_path / "ball.tar")


@pytest.mark.parametrize(
    ("first", "length"),
    [
        pytest.param(b"./monitor/15\0", 512, id="a header"),
        pytest.param(b"./monitor/15\0", 1024, id="a member"),
        pytest.param(b"./monitor/15\0", 1 << 20, id="all from there on"),
        pytest.param(b"./\0", 512, id="the first header"),
    ],
)
def test_zeros_in_the_middle_are_damage(tmp_path: Path, first: bytes, length: int) -> None:
    path = tmp_path / "ball.tar"
    a_ball(others={"findings/big": b"x" * 20_000}).tar(path)
    data = path.read_bytes()
    at = data.index(first)
    length = min(length, len(data) - at)
    path.write_bytes(data[:at] + bytes(length) + data[at + length :])
    with pytest.raises(CorruptError, match=f"it is damaged at byte {at}: zeros stand there"):
        read_tarball(path)


def test_two_tarballs_in_one_file_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "ball.tar"
    path.write_bytes(2 * _made(path))
    with pytest.raises(CorruptError, match="what is behind them is not its end"):
        read_tarball(path)


def test_a_file_of_holes_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ball.tar"
    _made(path)
    os.truncate(path, 8 << 40)
    with pytest.raises(CorruptError, match="zeros stand there"):
        read_tarball(path)


def test_a_sum_of_signed_bytes_is_one(tmp_path: Path) -> None:
    """As programs wrote it whose bytes had signs."""
    path = tmp_path / "ball.tar"
    a_ball(others={"findings/é": "x"}).tar(path)
    data = bytearray(path.read_bytes())
    at = data.index("./findings/é".encode())
    data[at + 148 : at + 154] = b"%06o" % (int(data[at + 148 : at + 154], 8) - 2 * 0x100)
    path.write_bytes(data)
    assert _stamps(path) == [5, 10, 15, 20]


@pytest.mark.parametrize("size", [b"-0000001000", b"-0000000001", b"         -1"], ids=["block", "byte", "blanks"])
def test_a_size_below_zero_is_damage(tmp_path: Path, size: bytes) -> None:
    """It led back to its own header, for ever."""
    path = tmp_path / "ball.tar"
    data = _made(path)
    data[512 * 4 + 124 : 512 * 4 + 135] = size
    data[512 * 4 + 148 : 512 * 4 + 156] = b" " * 8
    data[512 * 4 + 148 : 512 * 4 + 155] = b"%06o\0" % sum(data[512 * 4 : 512 * 5])
    path.write_bytes(data)
    with pytest.raises(CorruptError, match="it is damaged at byte"):
        read_tarball(path)


def test_a_tarball_without_a_monitor(tmp_path: Path) -> None:
    Ball(files={"findings/monitor": "a file"}).tar(tmp_path / "ball.tar")
    assert read_tarball(tmp_path / "ball.tar") == (None, ())


def test_an_empty_monitor_is_one(tmp_path: Path) -> None:
    a_ball({}).tar(tmp_path / "ball.tar")
    dumps, _ = read_tarball(tmp_path / "ball.tar")
    assert dumps is not None
    assert dumps.stamps == []


def test_two_monitors_side_by_side_are_told(tmp_path: Path) -> None:
    Ball(files={f"{name}/monitor/5": dump(1, 0, 0, 0) for name in "ab"}).tar(tmp_path / "ball.tar")
    assert read_tarball(tmp_path / "ball.tar")[1] == (
        "1 more folders named monitor are in the tarball: the first one was read",
    )


def test_what_is_no_dump_is_told(tmp_path: Path) -> None:
    ball = a_ball({**usual(), "x": "1", "30/deep": "1", "40": b"\0" * (2 << 20)})
    replace(ball, folders=[*ball.folders, "monitor/35"], links={"monitor/50": "5"}).tar(tmp_path / "ball.tar")
    dumps, _ = read_tarball(tmp_path / "ball.tar")
    assert dumps is not None
    assert dumps.findings()[2] == ('names in monitor/ that are no stamps: "35" and 3 more',)
