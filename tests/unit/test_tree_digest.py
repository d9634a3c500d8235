"""The digest of what a campaign's images take of a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from magma_remote.runtime.images.tree_digest import tree_digest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.memory.station import Bench


@pytest.mark.parametrize(
    ("file", "same"),
    [
        pytest.param("fuzzers/afl/build.sh", False, id="its-fuzzer"),
        pytest.param("fuzzers/libfuzzer/build.sh", True, id="another-fuzzer"),
        pytest.param("targets/libpng/configrc", False, id="its-target"),
        pytest.param("magma/run.sh", False, id="support"),
        pytest.param("docker/Dockerfile", False, id="dockerfile"),
        pytest.param("README.md", True, id="readme"),
    ],
)
def test_a_trees_digest_is_that_of_what_images_take(bench: Bench, file: str, *, same: bool) -> None:
    before = tree_digest(bench.campaign(), bench.root)
    (bench.root / file).write_text((bench.root / file).read_text() + "\n# changed\n")
    assert (tree_digest(bench.campaign(), bench.root) == before) == same


def test_a_trees_digest_is_the_same_in_another_place(bench: Bench, tmp_path: Path) -> None:
    bench.root.rename(tmp_path / "other")
    moved = tree_digest(bench.campaign(), tmp_path / "other")
    (tmp_path / "other").rename(bench.root)
    assert moved == tree_digest(bench.campaign(), bench.root)
