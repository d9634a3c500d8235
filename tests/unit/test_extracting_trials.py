"""Which image and which arguments a trial is extracted with, and what happens to one that cannot be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.adapters.memory_container import Script
from magma_remote.adapters.memory_registry import MemoryRegistry
from magma_remote.errors import EngineError
from magma_remote.model.pinned import PinnedImage
from magma_remote.runtime.extracting import trial as extracting_trial
from tests.support.memory.desk import FIRST, OTHER, SECOND, TRIALS, Desk
from tests.support.workdirs.merged import cut

if TYPE_CHECKING:
    from pathlib import Path

    from magma_remote.model.experiment import Trial


def refuse() -> None:
    raise EngineError("no exec here")


def damage(desk: Desk) -> None:
    cut(desk.merged.entry(FIRST) / "ball.tar", 3000)


def no_room(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extracting_trial, "free_bytes", lambda _path: 1000)
    desk.merged.remove(SECOND)
    desk.merged.remove(OTHER)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        pytest.param(damage, "cut after 3000 bytes", id="tarball"),
        pytest.param(lambda desk: desk.scripts.update(afl0=Script(at={"execute": refuse})), "no exec", id="engine"),
        pytest.param(lambda desk: desk.record(FIRST, digest="", image=""), "in which image", id="image-unknown"),
        pytest.param(lambda desk: desk.record(FIRST, digest="d9"), "(d9) is not on this machine", id="image-away"),
        pytest.param(lambda desk: desk.record(FIRST, job={}), "with which arguments", id="arguments"),
        pytest.param(lambda desk: desk.record(FIRST, digest=["x"], image=3), "in which image", id="types"),
    ],
)
def test_one_failure_is_named_and_the_others_go_on(desk: Desk, spoil: Any, why: str) -> None:
    spoil(desk)
    found = desk.run()
    assert list(found.failed) == [FIRST]
    assert why in found.failed[FIRST]
    assert [one.trial for one in found.done] == TRIALS[1:]
    (row,) = (row for row in desk.index()["trials"] if row["state"] == "failed")
    assert why in row["message"]


def test_no_room_is_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    no_room(desk, monkeypatch)
    assert "has 1000 B free" in desk.run().failed[FIRST]


def test_names_that_no_campaign_has_are_refused(desk: Desk) -> None:
    trial: Trial = ("a b", "libpng", "readpng", 0)
    desk.add(trial)
    assert "name that no fuzzer" in desk.run().failed[trial]


def test_an_image_that_stands_under_its_id_is_the_one(desk: Desk) -> None:
    desk.runner.images["sha256:exact"] = "sha256:exact"
    desk.runner.images["debian:12"] = "sha256:other"
    desk.record(FIRST, digest="d9", image="sha256:exact")
    desk.record(SECOND, digest="d9", image="debian:12")
    found = desk.run()
    assert list(found.failed) == [SECOND]
    assert "sha256:exact" in {spec.image for spec in desk.runner.created}


def test_a_tree_builds_what_is_missing_and_it_is_the_same(desk: Desk, tree: Path) -> None:
    desk.with_tree(tree)
    assert desk.build
    desk.run()  # nothing is built: all is there
    assert not desk.runner.builds
    desk.record(FIRST, digest="d9")
    found = desk.run(again=True)
    assert "the tree makes another image of afl/libpng" in found.failed[FIRST]
    assert not desk.runner.builds


def test_of_captains_trials_the_image_is_named_as_an_assumption(desk: Desk, tree: Path) -> None:
    for path in (desk.merged.root / "trials").iterdir():
        path.unlink()
    found = desk.with_tree(tree).run()
    assert all(one.assumed for one in found.done)
    assert len(found.done) == 3
    assert len(desk.runner.builds) == 2
    assert sum("not written down" in note for note in desk.reporter.notes) == 2
    environments = {(spec.environment["ARGS"], spec.environment["FUZZARGS"]) for spec in desk.runner.created}
    assert environments == {("-a @@", "-Q"), ("-a @@", "")}
    assert not list((desk.merged.root / "log").iterdir())
    assert len(list((desk.merged.root / "extracted/log").iterdir())) == 2


@pytest.mark.parametrize(("recipe", "fails"), [("d9", False), ("d8", True), ("", False)])
def test_a_pinned_image_is_pulled_and_held_against_the_record(desk: Desk, recipe: str, *, fails: bool) -> None:
    registry = MemoryRegistry(desk.runner)
    desk.registry = registry
    desk.runner.built["d9"] = "sha256:pinned"
    manifest = registry.push("sha256:pinned", "magma/afl/libpng", "d9")
    del desk.runner.built["d9"]
    desk.pins = {("afl", "libpng"): PinnedImage(fuzzer="afl", target="libpng", manifest=manifest)}
    desk.record(FIRST, digest=recipe)
    found = desk.run()
    assert list(found.failed) == ([FIRST] if fails else [])


def test_missing_trials_are_told(desk: Desk) -> None:
    rows = [
        {"fuzzer": f, "target": t, "program": p, "run": run, "args": "", "fuzzargs": "", "state": "done"}
        for f, t, p, run in [*TRIALS, ("afl", "libpng", "readpng", 9)]
    ]
    told = {"version": 1, "made_by": "z", "campaign": {"source": "y"}, "trials": rows, "images": {"afl/libpng": 3}}
    (desk.merged.root / "manifest.json").write_text(json.dumps(told))
    assert desk.run().missing == (("afl", "libpng", "readpng", 9),)


def test_missing_trials_of_a_killed_quickrun_are_told(desk: Desk) -> None:
    trials = [list(trial) for trial in [*TRIALS, ("afl", "libpng", "readpng", 2)]]
    (desk.merged.root / "campaign.json").write_text(json.dumps({"version": 1, "id": "x", "trials": trials}))
    assert desk.run().missing == (("afl", "libpng", "readpng", 2),)


def test_gaps_among_a_captains_trials_are_told(desk: Desk) -> None:
    desk.merged.add(("afl", "libpng", "readpng", 3))
    assert desk.run().missing == (("afl", "libpng", "readpng", 2),)


def test_trials_that_nobody_asked_for_are_left_out(desk: Desk) -> None:
    trials = [list(trial) for trial in TRIALS[:2]]
    (desk.merged.root / "campaign.json").write_text(json.dumps({"version": 1, "id": "x", "trials": trials}))
    assert [one.trial for one in desk.run().done] == TRIALS[:2]
    assert "a trial that the campaign did not ask for" in desk.reporter.notes[0]
