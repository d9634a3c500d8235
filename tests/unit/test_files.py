"""Files that are replaced in one step, and folders that go whatever is in them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.errors import StorageError
from magma_remote.runtime.files import remove_tree, write_json

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"a": object()})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}


@pytest.mark.parametrize("place", ["none/a.json", "."])
def test_a_file_that_cannot_be_written(tmp_path: Path, place: str) -> None:
    with pytest.raises(StorageError, match="could not be written"):
        write_json(tmp_path / place, {})


def test_a_folder_that_a_fuzzer_closed_is_removed(tmp_path: Path) -> None:
    closed, elsewhere = tmp_path / "run/ar/closed", tmp_path / "elsewhere"
    (closed / "deeper").mkdir(parents=True)
    (closed / "deeper/file").write_text("")
    elsewhere.mkdir(mode=0o750)
    (closed / "link").symlink_to(elsewhere)
    (closed / "deeper").chmod(0)
    closed.chmod(0)
    remove_tree(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert elsewhere.stat().st_mode & 0o777 == 0o750


def test_what_cannot_be_removed_is_told_when_all_else_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run/deeper").mkdir(parents=True)
    for name in ("a", "deeper/stuck", "z"):
        (tmp_path / "run" / name).write_text("")
    unlink = os.unlink

    def refuse(path: Any, **options: Any) -> None:
        if path == "stuck":
            raise PermissionError(1, "Operation not permitted", path)
        unlink(path, **options)

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(PermissionError, match="stuck"):
        remove_tree(tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").rglob("*")] == ["deeper", "stuck"]


def test_a_link_to_a_folder_is_left(tmp_path: Path) -> None:
    (tmp_path / "kept/inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    remove_tree(tmp_path / "link")
    assert (tmp_path / "kept/inner").is_dir()


def test_folders_deeper_than_a_path_may_be_long(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    here = os.open(tmp_path / "run", os.O_RDONLY)
    for _ in range(3_000):
        os.mkdir("d", dir_fd=here)
        above, here = here, os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(above)
    os.close(here)
    remove_tree(tmp_path / "run")
    assert not (tmp_path / "run").exists()
