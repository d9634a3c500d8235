"""The digest of an image's parts, and the build context that holds exactly them."""

from __future__ import annotations

import os
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_remote.errors import StorageError
from magma_remote.model.image import Entry, digest
from magma_remote.runtime.images.context import Context

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATHS = ("docker", "magma")
ARGS = {"fuzzer_name": "afl", "canaries": "1"}
BASES = ("sha256:1",)


def of(tree: Path) -> str:
    return digest(ARGS, BASES, Context(tree).entries(PATHS))


def _content(tree: Path) -> None:
    (tree / "magma/run.sh").write_text("# other\n")


def _executable(tree: Path) -> None:
    (tree / "magma/run.sh").chmod(0o755)


def _renamed(tree: Path) -> None:
    (tree / "magma/run.sh").rename(tree / "magma/run2.sh")


def _added(tree: Path) -> None:
    (tree / "magma/empty").touch()


def _empty_folder(tree: Path) -> None:
    (tree / "magma/folder").mkdir()


def _linked(tree: Path) -> None:
    (tree / "magma/link").symlink_to("elsewhere")


def _link_for_a_file(tree: Path) -> None:
    (tree / "magma/link").unlink()
    (tree / "magma/link").write_text("run.sh")


@pytest.mark.parametrize("change", [_content, _executable, _renamed, _added, _empty_folder, _linked, _link_for_a_file])
def test_it_changes_with_what_goes_in(tree: Path, change: Callable[[Path], None]) -> None:
    if change is not _linked:
        (tree / "magma/link").symlink_to("run.sh")
    before = of(tree)
    change(tree)
    assert of(tree) != before


def test_it_changes_with_a_links_target(tree: Path) -> None:
    digests = set()
    for target in ("run.sh", "run2.sh"):
        (tree / "magma/link").unlink(missing_ok=True)
        (tree / "magma/link").symlink_to(target)
        digests.add(of(tree))
    assert len(digests) == 2


def _time(tree: Path) -> None:
    os.utime(tree / "magma/run.sh", (1, 1))


def _rights(tree: Path) -> None:
    (tree / "magma/run.sh").chmod(0o600)


def _history(tree: Path) -> None:
    (tree / "magma/.git").mkdir()
    (tree / "magma/.git/HEAD").touch()


def _elsewhere(tree: Path) -> None:
    (tree / "fuzzers/afl/build.sh").write_text("# other\n")


@pytest.mark.parametrize("change", [_time, _rights, _history, _elsewhere])
def test_it_does_not_change_with_what_makes_no_difference(tree: Path, change: Callable[[Path], None]) -> None:
    before = of(tree)
    change(tree)
    assert of(tree) == before


def test_arguments_and_base_images_count() -> None:
    entries = (Entry(path="a", kind="f", content="1"),)
    others = [
        digest(ARGS, BASES, entries),
        digest({**ARGS, "isan": "1"}, BASES, entries),
        digest({**ARGS, "canaries": "2"}, BASES, entries),
        digest(ARGS, ("sha256:2",), entries),
        digest(ARGS, (), entries),
    ]
    assert len(set(others)) == len(others)


_TEXT = st.text(alphabet="ab:1\0 fxdl", max_size=6)
_ENTRIES = st.frozensets(st.builds(Entry, path=_TEXT, kind=st.sampled_from("fxld"), content=_TEXT), max_size=4)
_INPUTS = st.tuples(st.dictionaries(_TEXT, _TEXT, max_size=3), st.frozensets(_TEXT, max_size=3), _ENTRIES)


@given(_INPUTS, _INPUTS)
def test_only_equal_inputs_have_one_digest(
    one: tuple[dict[str, str], frozenset[str], frozenset[Entry]],
    other: tuple[dict[str, str], frozenset[str], frozenset[Entry]],
) -> None:
    assert (digest(*one) == digest(*other)) == (one == other)


@given(st.text(alphabet="a1:", min_size=1, max_size=8), st.data())
def test_where_a_text_ends_counts(text: str, data: st.DataObject) -> None:
    one, other = data.draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=2, unique=True))
    cut = [(text[:at], text[at:]) for at in (one, other)]
    assert len({digest(dict([pair]), (), ()) for pair in cut}) == 2
    assert len({digest({}, (), [Entry(path=path, kind="f", content=content)]) for path, content in cut}) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(({"a": "1", "b": "2"}, (), ()), ({"a": "1argb2"}, (), ()), id="arguments"),
        pytest.param(({}, ("x", "y"), ()), ({}, ("xbasey",), ()), id="base-images"),
        pytest.param(
            ({}, (), (Entry(path="a", kind="f", content="1"), Entry(path="b", kind="f", content="2"))),
            ({}, (), (Entry(path="a", kind="f", content="1fb2"),)),
            id="entries",
        ),
        pytest.param(({"a": ""}, ("x",), ()), ({"a": "basex"}, (), ()), id="argument-and-base-image"),
        pytest.param(({}, ("x",), ()), ({"x": ""}, (), ()), id="kinds"),
    ],
)
def test_where_a_row_ends_counts(one: tuple[Any, Any, Any], other: tuple[Any, Any, Any]) -> None:
    assert digest(*one) != digest(*other)


@given(_INPUTS)
def test_order_makes_no_difference(inputs: tuple[dict[str, str], frozenset[str], frozenset[Entry]]) -> None:
    args, bases, entries = inputs
    backwards = (dict(reversed(args.items())), sorted(bases, reverse=True), sorted(entries, reverse=True))
    assert digest(*backwards) == digest(args, sorted(bases), sorted(entries))


def test_a_context_holds_the_parts_and_nothing_else(tree: Path, tmp_path: Path) -> None:
    (tree / "magma/run.sh").chmod(0o700)
    (tree / "magma/link").symlink_to("run.sh")
    (tree / "magma/folder").mkdir()
    Context(tree).pack(PATHS, tmp_path / "context.tar")
    with tarfile.open(tmp_path / "context.tar") as tar:
        members = {member.name: member for member in tar}
    assert set(members) == {
        "docker",
        "docker/Dockerfile",
        "magma",
        "magma/run.sh",
        "magma/link",
        "magma/folder",
    }
    assert members["magma/run.sh"].mode == 0o755
    assert members["docker/Dockerfile"].mode == 0o644
    assert members["magma/link"].linkname == "run.sh"
    assert members["magma/folder"].isdir()
    assert {member.uid for member in members.values()} == {0}


def test_equal_parts_give_equal_contexts(tree: Path, tmp_path: Path) -> None:
    Context(tree).pack(PATHS, tmp_path / "one.tar")
    _time(tree)
    Context(tree).pack(tuple(reversed(PATHS)), tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_the_whole_tree(tree: Path, tmp_path: Path) -> None:
    Context(tree).pack((".",), tmp_path / "context.tar")
    with tarfile.open(tmp_path / "context.tar") as tar:
        assert {"README.md", "fuzzers/afl/build.sh", "docker/Dockerfile"} <= set(tar.getnames())


def test_a_name_that_is_no_text(tree: Path, tmp_path: Path) -> None:
    before = of(tree)
    (tree / "magma" / os.fsdecode(b"seed-\xff")).write_text("seed")
    context = Context(tree)
    assert digest(ARGS, BASES, context.entries(PATHS)) != before
    context.pack(PATHS, tmp_path / "context.tar")
    with tarfile.open(tmp_path / "context.tar") as tar:
        assert os.fsdecode(b"magma/seed-\xff") in tar.getnames()


def _gone(tree: Path) -> None:
    (tree / "magma/run.sh").unlink()


@pytest.mark.parametrize("change", [_content, _gone])
def test_a_file_that_changed_since_its_digest_is_not_packed(
    tree: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    context = Context(tree)
    context.entries(PATHS)
    change(tree)
    with pytest.raises(StorageError, match=r"magma/run\.sh"):
        context.pack(PATHS, tmp_path / "context.tar")


def test_a_part_that_is_not_there(tree: Path) -> None:
    with pytest.raises(StorageError, match="fuzzers/none"):
        Context(tree).entries(("fuzzers/none",))
