"""What is known of a Magma tree's origin."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.git import NOTE, tree_origin

if TYPE_CHECKING:
    from pathlib import Path

UNKNOWN = {"commit": None, "dirty": None, "changes": None}


def _git(tree: Path, *arguments: str) -> str:
    named = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", *named, "-C", tree, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "magma"
    (root / "fuzzers").mkdir(parents=True)
    (root / "fuzzers/a").write_text("x")
    _git(tmp_path, "init", "-q", str(root))
    _git(root, "add", ".")
    _git(root, "commit", "-qm", "first")
    return root


def test_a_clean_tree(tree: Path) -> None:
    assert tree_origin(tree) == {"commit": _git(tree, "rev-parse", "HEAD"), "dirty": False, "changes": []}


def test_a_changed_tree(tree: Path) -> None:
    (tree / "fuzzers/a").write_text("y")
    (tree / "new").write_text("z")
    assert tree_origin(tree) == {
        "commit": _git(tree, "rev-parse", "HEAD"),
        "dirty": True,
        "changes": [" M fuzzers/a", "?? new"],
    }


def test_a_part_of_another_repository_is_unknown(tree: Path) -> None:
    assert tree_origin(tree / "fuzzers") == UNKNOWN


def test_a_repository_in_the_environment_is_not_the_trees(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = tree_origin(tree)
    _git(tmp_path, "init", "-q", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other/.git"))
    assert tree_origin(tree) == expected
    (tmp_path / "plain").mkdir()
    assert tree_origin(tmp_path / "plain") == UNKNOWN


def test_a_plain_folder_is_unknown(tmp_path: Path) -> None:
    assert tree_origin(tmp_path) == UNKNOWN


@pytest.mark.parametrize("beside", [False, True], ids=["inside", "beside"])
def test_a_copy_with_its_note(tmp_path: Path, beside: bool) -> None:
    root = tmp_path / "magma"
    root.mkdir()
    note = {"commit": "c0ffee", "dirty": True, "more": 1}
    ((tmp_path if beside else root) / NOTE).write_text(json.dumps(note))
    assert tree_origin(root) == {"commit": "c0ffee", "dirty": True, "changes": None}


@pytest.mark.parametrize("text", ["", "[]", '{"commit": 1, "changes": 2}'], ids=["empty", "list", "types"])
def test_a_note_that_says_nothing_is_unknown(tmp_path: Path, text: str) -> None:
    (tmp_path / NOTE).write_text(text)
    assert tree_origin(tmp_path) == UNKNOWN
