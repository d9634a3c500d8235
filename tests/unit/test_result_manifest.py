"""A folder, its manifest, and what became of the folder."""

from __future__ import annotations

import hashlib
import os
import socket
from typing import TYPE_CHECKING

import pytest

from magma_remote.errors import CorruptError
from magma_remote.model.manifest import read
from magma_remote.runtime.workdir.manifest import verify, write_manifest
from tests.support.workdirs.result import contents

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "folder"
    (root / "d").mkdir(parents=True)
    (root / "d/a").write_text("abc")
    (root / "d/b").write_text("xyz")
    (root / "d/l").symlink_to("a")
    (root / "e").mkdir()
    return root


def rewrite(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


def test_it_tells_its_own_digest_and_every_entry(folder: Path) -> None:
    digest = write_manifest(folder)
    data = (folder / "manifest.json").read_bytes()
    assert digest == hashlib.sha256(data).hexdigest()
    assert [entry.path for entry in read(data).entries] == ["d", "d/a", "d/b", "d/l", "e"]
    assert verify(folder, digest) == read(data)
    assert write_manifest(folder) == digest


def test_what_was_left_of_an_earlier_try_is_not_listed(folder: Path) -> None:
    digest = write_manifest(folder)
    (folder / ".manifest.json.new").write_text("half")
    assert write_manifest(folder) == digest


def test_sockets_and_pipes_are_left_out(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(folder, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
    digest = write_manifest(folder)
    assert "pipe" not in (folder / "manifest.json").read_text()
    verify(folder, digest)


def test_what_its_fuzzer_closed_is_read_and_stays_closed(folder: Path) -> None:
    (folder / "d/a").chmod(0)
    (folder / "d").chmod(0)
    before = (folder / "d").stat().st_mode
    digest = write_manifest(folder)
    verify(folder, digest)
    assert (folder / "d").stat().st_mode == before
    (folder / "d").chmod(0o700)
    assert (folder / "d/a").stat().st_mode & 0o777 == 0


@pytest.mark.parametrize("target", ["/etc/passwd", "../x", "d/../../x"])
def test_a_link_that_leaves_is_refused(folder: Path, target: str) -> None:
    (folder / "out").symlink_to(target)
    with pytest.raises(CorruptError, match=r'"out" is a link to .*NO_ARCHIVE'):
        write_manifest(folder)
    assert not (folder / "manifest.json").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(lambda root: (root / "d/a").unlink(), 'missing: "d/a"', id="missing file"),
        pytest.param(lambda root: (root / "e").rmdir(), 'missing: "e"', id="missing folder"),
        pytest.param(lambda root: rewrite(root / "d/a", "abd"), 'altered: "d/a"', id="content"),
        pytest.param(lambda root: rewrite(root / "d/a", "abcd"), 'altered: "d/a"', id="size"),
        pytest.param(lambda root: (root / "d/a").chmod(0o755), 'altered: "d/a"', id="mode"),
        pytest.param(lambda root: (root / "e").chmod(0o700), 'altered: "e"', id="mode of a folder"),
        pytest.param(lambda root: (root / "d/n").touch(), 'extra: "d/n"', id="extra"),
        pytest.param(
            lambda root: ((root / "d/l").unlink(), (root / "d/l").symlink_to("b")), 'altered: "d/l"', id="target"
        ),
        pytest.param(
            lambda root: ((root / "d/a").unlink(), (root / "d/a").symlink_to("b")), 'altered: "d/a"', id="now a link"
        ),
        pytest.param(
            lambda root: ((root / "e").rmdir(), (root / "e").symlink_to("d")), 'altered: "e"', id="folder now a link"
        ),
        pytest.param(lambda root: (root / "manifest.json").unlink(), "no manifest.json", id="no manifest"),
        pytest.param(lambda root: rewrite(root / "manifest.json", "{}"), "not the one", id="another manifest"),
        pytest.param(
            lambda root: [(root / f"n{n}").touch() for n in range(5)], "and 2 more", id="many are not all told"
        ),
    ],
)
def test_what_differs_is_named(folder: Path, change: Callable[[Path], object], told: str) -> None:
    digest = write_manifest(folder)
    verify(folder, digest)
    change(folder)
    with pytest.raises(CorruptError, match=told):
        verify(folder, digest)


def test_a_manifest_that_is_none_is_told(folder: Path) -> None:
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(CorruptError, match="version"):
        verify(folder, hashlib.sha256(b"{}").hexdigest())


def test_nothing_is_changed_by_verifying(folder: Path) -> None:
    digest = write_manifest(folder)
    before = contents(folder)
    verify(folder, digest)
    assert contents(folder) == before
