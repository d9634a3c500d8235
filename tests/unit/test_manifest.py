"""What a manifest may list, as text."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_remote.errors import CorruptError, WireError
from magma_remote.model.manifest import Entry, Kind, Manifest, from_wire, read, to_wire, write

SHA = "0123456789abcdef" * 4
FILE = {"path": "a", "kind": "file", "mode": "644", "size": 3, "sha256": SHA}


def text_of(*entries: Any, version: Any = 1, **more: Any) -> str:
    return json.dumps({"version": version, "entries": list(entries), **more})


def folder(path: str) -> dict[str, str]:
    return {"path": path, "kind": "dir", "mode": "755"}


def link(path: str, target: str) -> dict[str, str]:
    return {"path": path, "kind": "link", "target": target}


def test_the_text() -> None:
    manifest = Manifest.of(
        [
            Entry(path="a/c", kind=Kind.FILE, mode=0o640, size=3, sha256=SHA),
            Entry(path="a/b", kind=Kind.LINK, target="../a/c"),
            Entry(path="a", kind=Kind.DIR, mode=0o755),
        ]
    )
    assert write(manifest) == (
        '{"version": 1, "entries": [\n'
        '{"path": "a", "kind": "dir", "mode": "755"},\n'
        '{"path": "a/b", "kind": "link", "target": "../a/c"},\n'
        f'{{"path": "a/c", "kind": "file", "mode": "640", "size": 3, "sha256": "{SHA}"}}\n'
        "]}\n"
    )
    assert read(write(manifest)) == manifest


@pytest.mark.parametrize("empty", [Manifest(entries=())])
def test_an_empty_folder(empty: Manifest) -> None:
    assert read(write(empty)) == empty


name = st.binary(min_size=1, max_size=20).filter(
    lambda raw: b"\0" not in raw and b"/" not in raw and raw not in {b".", b"..", b"manifest.json"}
)


@given(st.sets(name), st.binary(min_size=1).filter(lambda raw: b"\0" not in raw))
def test_any_bytes_are_a_name_and_a_links_target(names: set[bytes], end: bytes) -> None:
    files = [
        Entry(path=f"d/{to_wire(os.fsdecode(raw))}", kind=Kind.FILE, mode=0o600, size=1, sha256=SHA) for raw in names
    ]
    target = to_wire(os.fsdecode(b"x" + end.replace(b"/", b"-")))
    link = Entry(path="l", kind=Kind.LINK, target=target)
    again = read(write(Manifest.of([*files, link, Entry(path="d", kind=Kind.DIR)])).encode("ascii"))
    paths = [os.fsencode(from_wire(entry.path)) for entry in again.entries]
    assert set(paths) == {b"d", b"l", *(b"d/" + raw for raw in names)}
    assert again.entries[-1].target == target


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([FILE | {"path": "/etc/passwd"}], id="absolute"),
        pytest.param([FILE | {"path": "../a"}], id="up"),
        pytest.param([folder("d"), FILE | {"path": "d/.."}], id="up at the end"),
        pytest.param([folder("d"), FILE | {"path": "d/./a"}], id="dot"),
        pytest.param([folder("d"), FILE | {"path": "d//a"}], id="empty part"),
        pytest.param([folder("d/")], id="slash at the end"),
        pytest.param([FILE | {"path": ""}], id="empty"),
        pytest.param([FILE | {"path": "a\0b"}], id="NUL"),
        pytest.param([FILE | {"path": "manifest.json"}], id="itself"),
        pytest.param([FILE | {"path": "\ud800"}], id="no bytes"),
        pytest.param([FILE | {"path": "\udcc3\udca4"}], id="another spelling"),
        pytest.param([FILE, FILE], id="twice"),
        pytest.param([FILE, folder("a")], id="twice, of two kinds"),
        pytest.param([FILE | {"path": "d/a"}], id="without its folder"),
        pytest.param([FILE, FILE | {"path": "a/b"}], id="in a file"),
        pytest.param([link("l", "d"), folder("d"), FILE | {"path": "l/a"}], id="in a link"),
        pytest.param([link("l", "/etc")], id="link, absolute"),
        pytest.param([link("l", "..")], id="link, up"),
        pytest.param([folder("d"), link("d/l", "../../x")], id="link, up twice"),
        pytest.param([folder("d"), link("d/l", "./.././../x")], id="link, up behind dots"),
        pytest.param([link("l", "d/../../x")], id="link, up later"),
        pytest.param([link("l", "up/..")], id="link, up behind a name"),
        pytest.param([link("l", "")], id="link to nothing"),
        pytest.param([link("l", "a\0b")], id="link with NUL"),
    ],
)
def test_what_is_not_inside_is_refused(entries: list[dict[str, Any]]) -> None:
    with pytest.raises(CorruptError):
        read(text_of(*entries))


@pytest.mark.parametrize("target", ["x", "../x", "./x", "x/", "a b\n", "d/x//y", "\udcff", "..", "."])
def test_a_link_that_stays(target: str) -> None:
    manifest = read(text_of(folder("d"), link("d/l", target)))
    assert manifest.entries[1].target == target


def test_what_is_below_a_folder_stays_there() -> None:
    manifest = read(text_of(folder("d"), folder("d/e"), link("d/e/l", "../x"), FILE))
    assert [entry.path for entry in manifest.below("d").entries] == ["e", "e/l"]
    with pytest.raises(CorruptError, match="link"):
        manifest.below("d/e")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("[" * 100_000, id="deep"),
        pytest.param(b"\xff", id="no UTF-8"),
        pytest.param("[]", id="a list"),
        pytest.param(text_of(version=2), id="version"),
        pytest.param(text_of(version=True), id="version true"),
        pytest.param(text_of(more=1), id="more"),
        pytest.param('{"version": 1, "entries": {}}', id="entries"),
        *(
            pytest.param(text_of(value), id=f"entry {key}")
            for key, value in {
                "null": None,
                "text": "a",
                "kind": FILE | {"kind": "fifo"},
                "kind list": FILE | {"kind": []},
                "more": FILE | {"owner": 0},
                "path": FILE | {"path": 1},
                "mode": FILE | {"mode": 420},
                "mode bits": FILE | {"mode": "4755"},
                "size": FILE | {"size": -1},
                "size true": FILE | {"size": True},
                "sha256": FILE | {"sha256": SHA.upper()},
                "less": {"path": "a", "kind": "file"},
                "target": link("l", "x") | {"target": None},
            }.items()
        ),
    ],
)
def test_another_form_is_refused(text: str | bytes) -> None:
    with pytest.raises(WireError):
        read(text)
