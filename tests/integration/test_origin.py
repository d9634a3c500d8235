"""Which tree a dispatched campaign and its extensions ran with, whatever is lost and whoever is killed."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from magma_remote.cli import extending, provenance
from magma_remote.cli.extending import extend_campaign
from magma_remote.cli.provenance import note_tree, tell_dispatched
from magma_remote.model.campaign_request import CampaignRequest
from magma_remote.model.entries import JobState
from tests.support.workdirs.finished import COMMIT, DONE, JOBS, TEXT, Proven, proven

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LATER = {"commit": "f" * 40, "dirty": False, "changes": []}
UNKNOWN = {"commit": None, "dirty": None, "changes": None}
TREE, OTHER = "ab" * 32, "cd" * 32


class Killed(BaseException):
    """In the place of a signal."""


@pytest.fixture
def ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast_disk: None) -> Iterator[Proven]:
    """Its first tree was noted, its manifest.json is written; the tree that is there now has another commit."""
    monkeypatch.setattr(provenance, "tree_origin", lambda _root: LATER)
    made = proven(tmp_path, jobs=JOBS[:DONE])
    with closing(made.ledger):
        campaign = made.ledger.campaign()
        assert campaign
        made.ledger.save_campaign(replace(campaign, terms={"POLL": "5"}))
        made.finish(all_done=True)
        yield made


def _request(jobs: int, tree: str = OTHER) -> CampaignRequest:
    return CampaignRequest(
        source="c.hjson", text=f"{TEXT}# {jobs}", tree=tree, timeout=20.0, terms={"POLL": "5"}, jobs=JOBS[:jobs]
    )


def _extend(made: Proven, request: CampaignRequest) -> int:
    chosen = cast("Any", SimpleNamespace(workdir=made.workdir.root, registry=""))
    return len(
        extend_campaign(chosen, cast("Any", SimpleNamespace(root=made.workdir.root)), request, made.ledger).added
    )


def _told(made: Proven) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((made.workdir.root / "manifest.json").read_bytes())
    return found


@pytest.mark.parametrize("extend", [True, False], ids=["extend", "dispatch"])
def test_a_tree_is_told_of_an_extension_that_was_killed(
    ended: Proven, monkeypatch: pytest.MonkeyPatch, extend: bool
) -> None:
    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(extending, "note_tree", die)
        with pytest.raises(Killed):
            _extend(ended, _request(4))
    assert ended.ledger.counts()[JobState.WAITING] == 1
    if extend:
        assert _extend(ended, _request(4)) == 0
    else:
        assert note_tree(ended.workdir.root, ended.workdir.root, OTHER, ended.ledger)
        tell_dispatched(ended.workdir.root, ended.ledger)
    told = _told(ended)
    assert (told["magma"]["commit"], len(told["campaign"]["editions"])) == (COMMIT, 1)
    assert [later["magma"] for later in told["magma"]["later"]] == [LATER]
    assert [later["at"] for later in told["magma"]["later"]] == [told["campaign"]["editions"][0]["until"]]


def test_what_an_extension_that_was_killed_ran_with_is_not_guessed(
    ended: Proven, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extending, "note_tree", lambda *_: False)
    _extend(ended, _request(3))
    monkeypatch.undo()
    monkeypatch.setattr(provenance, "tree_origin", lambda _root: LATER)
    _extend(ended, _request(4, tree="ef" * 32))
    assert [later["magma"] for later in _told(ended)["magma"]["later"]] == [UNKNOWN, LATER]


@pytest.mark.parametrize("content", [None, "{}", "["], ids=["gone", "emptied", "damaged"])
def test_a_known_commit_stays_known(ended: Proven, content: str | None) -> None:
    """manifest.json has what origin.json had."""
    path = ended.workdir.root / "origin.json"
    path.unlink()
    if content:
        path.write_text(content)
    before = _told(ended)
    note_tree(ended.workdir.root, ended.workdir.root, TREE, ended.ledger)
    tell_dispatched(ended.workdir.root, ended.ledger)
    told = _told(ended)
    assert (told["magma"], told["versions"]) == (before["magma"], before["versions"])
    assert told["magma"]["commit"] == COMMIT


def test_the_tree_of_today_is_not_taken_for_the_first_one(ended: Proven) -> None:
    for name in ("origin.json", "manifest.json"):
        (ended.workdir.root / name).unlink()
    note_tree(ended.workdir.root, ended.workdir.root, OTHER, ended.ledger)
    tell_dispatched(ended.workdir.root, ended.ledger)
    assert _told(ended)["magma"]["commit"] is None
