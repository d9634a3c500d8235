"""Each file of data/bad_campaigns is refused with exactly the messages that stand beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from magma_remote.cli.loading import load
from magma_remote.errors import ConfigError
from tests.support.places import DATA, TREE

CORPUS = DATA / "bad_campaigns"
FILES = sorted(CORPUS.glob("*.hjson"))
OWN_TREE = ("magma_", "tree_")  # files that name a tree themselves


def messages(file: Path) -> str:
    """What is printed, with the place of the tests as `TESTS`."""
    magma = None if file.name.startswith(OWN_TREE) else TREE
    with pytest.raises(ConfigError) as caught:
        load(Path(file.name), magma)
    return str(caught.value).replace(str(DATA.parent), "TESTS") + "\n"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_refused_with_every_message(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CORPUS)
    assert messages(file) == file.with_suffix(".expected").read_text(encoding="utf-8")


def test_the_corpus_is_whole() -> None:
    assert len(FILES) >= 60
    assert {file.stem for file in FILES} == {file.stem for file in CORPUS.glob("*.expected")}
