"""SHARED made again from an entry of `ar/`: whatever stands in it, nothing outside of the folder is touched."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from magma_remote.errors import CorruptError, StorageError
from magma_remote.runtime.extracting.unpacking import Source
from magma_remote.runtime.files import remove_tree
from tests.support.workdirs.merged import Ball, a_ball, cut

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    folder = tmp_path / "ar/afl/libpng/readpng/0"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


def unpack(entry: Path, shared: Path) -> tuple[str, ...]:
    source = Source.of(entry)
    return source.unpack(shared, most=source.size)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def member(
    name: str, kind: bytes = tarfile.REGTYPE, *, link: str = "", content: bytes = b""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content)
    return info, content


def write(entry: Path, *members: tuple[tarfile.TarInfo, bytes]) -> None:
    with tarfile.open(entry / "ball.tar", "w") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))


@pytest.mark.parametrize("plain", [False, True], ids=["tarball", "folder"])
def test_all_but_the_dumps_is_there(entry: Path, shared: Path, *, plain: bool) -> None:
    ball = a_ball(others={"canaries.raw": "x", "findings/crash": b"\0\xff", "corpus/monitor/1": "not Magma's"})
    ball.plain(entry) if plain else ball.tar(entry / "ball.tar")
    assert unpack(entry, shared) == ()
    assert files(shared) == {
        "findings/default/queue/id:000000": b"seed",
        "findings/crash": b"\0\xff",
        "log/current": b"afl-fuzz",
        "corpus/monitor/1": b"not Magma's",
    }


@pytest.mark.parametrize("root", [".", "shared", "a/b"])
def test_shared_is_where_its_monitor_is(entry: Path, shared: Path, root: str) -> None:
    Ball(files={"monitor/5": "", "findings/crash": "x"}, folders=("monitor", "findings"), root=root).tar(
        entry / "ball.tar"
    )
    unpack(entry, shared)
    assert files(shared) == {"findings/crash": b"x"}


def test_the_containers_user_may_read_and_write_all(entry: Path, shared: Path) -> None:
    tool, content = member("./findings/tool", content=b"#!")
    tool.mode = 0o700
    closed, more = member("./findings/closed", content=b"x")
    closed.mode = 0
    write(entry, (tool, content), (closed, more))
    unpack(entry, shared)
    modes = {path.name: path.stat().st_mode & 0o777 for path in shared.rglob("*")}
    assert modes == {"findings": 0o777, "tool": 0o766, "closed": 0o666}


@pytest.mark.parametrize(
    "members",
    [
        pytest.param([member("../secret", content=b"new")], id="dots"),
        pytest.param([member("./findings/../../secret", content=b"new")], id="dots-within"),
        pytest.param(
            [member("./out", tarfile.SYMTYPE, link=".."), member("./out/secret", content=b"new")], id="through-a-link"
        ),
        pytest.param(
            [member("./secret", tarfile.SYMTYPE, link="../secret"), member("./secret", content=b"new")],
            id="onto-a-link",
        ),
        pytest.param(
            [member("./out", tarfile.SYMTYPE, link=".."), member("./out/new", tarfile.SYMTYPE, link="x")],
            id="link-behind-a-link",
        ),
        pytest.param([member("./hard", tarfile.LNKTYPE, link="../secret")], id="hard-link"),
        pytest.param(
            [member("./s", tarfile.SYMTYPE, link="../secret"), member("./hard", tarfile.LNKTYPE, link="s")],
            id="hard-link-to-a-link",
        ),
        pytest.param([member("./pipe", tarfile.FIFOTYPE), member("./disk", tarfile.BLKTYPE)], id="devices"),
    ],
)
def test_nothing_outside_is_touched(entry: Path, shared: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    secret = shared.parent / "secret"
    secret.write_bytes(b"the host's")
    write(entry, *members)
    unpack(entry, shared)
    assert secret.read_bytes() == b"the host's"
    assert secret.stat().st_nlink == 1
    assert {path.name for path in shared.parent.iterdir()} == {"ar", "secret", "shared"}
    assert not any(path.is_fifo() or path.is_block_device() for path in shared.rglob("*"))


def test_a_leading_slash_is_below_shared(entry: Path, shared: Path) -> None:
    write(entry, member("/findings/crash", content=b"x"))
    unpack(entry, shared)
    assert files(shared) == {"findings/crash": b"x"}


def test_what_is_left_out_is_named(entry: Path, shared: Path) -> None:
    write(entry, member("../a", content=b"x"), member("./b", tarfile.LNKTYPE, link="./none"))
    assert unpack(entry, shared) == (
        "../a in it is left out: it is outside of the trial's folder",
        "b in it is left out: what it links to is not there",
    )


def test_hard_links_share_their_content(entry: Path, shared: Path) -> None:
    write(entry, member("./a", content=b"seed"), member("./queue/b", tarfile.LNKTYPE, link="./a"))
    assert unpack(entry, shared) == ()
    assert files(shared) == {"a": b"seed", "queue/b": b"seed"}


@pytest.mark.parametrize("plain", [False, True], ids=["tarball", "folder"])
def test_links_stay_links(entry: Path, shared: Path, *, plain: bool) -> None:
    ball = Ball(files={"findings/1": "x"}, folders=("findings",), links={"findings/last": "1"})
    if plain:
        ball.plain(entry)
        (entry / "findings/last").symlink_to("1")
    else:
        ball.tar(entry / "ball.tar")
    unpack(entry, shared)
    assert (shared / "findings/last").readlink().name == "1"


def test_a_sparse_bomb_is_refused(entry: Path, shared: Path) -> None:
    info, _ = member("./findings/bomb")
    info.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 40), "GNU.sparse.name": "./findings/bomb"}
    with tarfile.open(entry / "ball.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info)
    with pytest.raises(StorageError, match="larger than they are said to be"):
        unpack(entry, shared)
    assert sum(path.stat().st_blocks for path in shared.rglob("*")) * 512 <= 1 << 20


def test_a_tarball_that_is_cut_is_refused(entry: Path) -> None:
    a_ball().tar(entry / "ball.tar")
    cut(entry / "ball.tar", 3000)
    with pytest.raises(CorruptError, match="cut after 3000 bytes"):
        Source.of(entry)


def test_size_counts_what_is_unpacked(entry: Path, shared: Path) -> None:
    a_ball(others={"canaries.raw": b"x" * 100_000, "findings/crash": b"y" * 5000}).tar(entry / "ball.tar")
    source = Source.of(entry)
    unpack(entry, shared)
    used = sum(path.stat().st_blocks * 512 for path in shared.rglob("*") if path.is_file())
    assert used <= source.size <= used + 32 * 4096


@pytest.mark.parametrize(
    "members",
    [
        pytest.param([member("./" + "d/" * 3000 + "f", content=b"x")], id="deep"),
        pytest.param([member("./a", content=b"x"), member("./a/b", content=b"x")], id="file-and-folder"),
        pytest.param([member("./a/b", content=b"x"), member("./a", content=b"x")], id="folder-and-file"),
        pytest.param([member("./" + "n" * 300, content=b"x")], id="long"),
    ],
)
def test_names_that_cannot_be_made_end_in_an_error_of_the_system(
    entry: Path, shared: Path, members: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    write(entry, *members)
    with pytest.raises(OSError, match=r"too long|exists|directory"):
        unpack(entry, shared)
    remove_tree(shared)  # pytest's own way ends at 1,000 folders in folders
    assert not shared.exists()
