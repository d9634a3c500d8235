"""Images: by content, never stale, with nothing in them that they do not need."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from magma_remote.model.image import DIGEST_LABEL
from tests.support.processes.quickrun import entries, record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.processes.command import Ended
    from tests.support.processes.quickrun import Lab


@pytest.fixture
def own(lab: Lab) -> Iterator[Lab]:
    """A lab whose fuzzer `steady` becomes one that no other lab has, and whose images go with it."""
    (lab.tree / "fuzzers/steady").rename(lab.tree / "fuzzers/own")
    yield lab
    lab.remove_images("own")


def run(lab: Lab, workdir: str) -> tuple[Ended, str]:
    """How a run of `own` ended, and the id of the image that it ran on."""
    ended = lab.run(lab.campaign(FUZZERS=["own"], TIMEOUT="1s"), lab.workdir(workdir))
    assert ended.code == 0, ended.output
    return ended, record(lab.workdir(workdir), "own,toy,letters,0")["image"]


def test_a_changed_fuzzer_is_a_new_image_and_the_old_one_is_kept(own: Lab) -> None:
    script = own.tree / "fuzzers/own/run.sh"
    original = script.read_text()
    first, old = run(own, "first")
    assert "Built magma/own/toy:" in first.output

    script.write_text(f"{original}# changed\n")
    changed, new = run(own, "changed")
    assert "Built magma/own/toy:" in changed.output
    assert new != old

    script.write_text(original)
    (own.tree / "fuzzers/early/run.sh").write_text("of another fuzzer")
    (own.tree / "notes.txt").write_text("of no use to an image")
    reverted, again = run(own, "reverted")
    assert "Built" not in reverted.output
    assert again == old
    (log,) = (own.workdir("reverted") / "log").glob("own_toy_build_*.log")
    assert "not built again" in log.read_text()

    assert_only_its_own(own, old)


def assert_only_its_own(lab: Lab, image: str) -> None:
    """The image holds its fuzzer, its target and Magma's support files, and nothing else of the tree."""
    listing = lab.engine.containers.run(
        image, entrypoint="find", command=["/magma", "-maxdepth", "2"], remove=True, network_mode="none"
    )
    names = set(listing.decode().split())
    assert {"/magma/magma", "/magma/fuzzers/own", "/magma/targets/toy"} <= names
    assert not [name for name in names if re.match(r"/magma/(fuzzers/(?!own)|targets/(?!toy)|docker|notes)", name)]


def test_a_workdir_keeps_to_one_image(own: Lab) -> None:
    """Trials of one campaign that ran on two images could not be compared."""
    run(own, "workdir")
    with (own.tree / "fuzzers/own/run.sh").open("a") as script:
        script.write("# changed\n")
    refused = own.run(own.campaign(FUZZERS=["own"], TIMEOUT="1s", REPEAT=2))
    assert refused.code == 2
    assert "other images of own/toy" in refused.output
    assert entries(own.workdir()) == ["own/toy/letters/0"]


def test_image_carries_its_digest_and_names(lab: Lab) -> None:
    ended = lab.run(lab.campaign(TIMEOUT="1s"))
    assert ended.code == 0, ended.output
    facts = record(lab.workdir(), "steady,toy,letters,0")
    image = lab.engine.images.get(facts["image"])
    assert image.labels[DIGEST_LABEL] == facts["digest"]
    (base,) = facts["bases"]
    name, _, build = base.rpartition("@")
    assert lab.engine.images.get(name).id == build
    assert facts["machine"]["docker"] == lab.engine.version()["Version"]
    assert re.fullmatch("[0-9a-f]{12}", image.labels["magma-remote.campaign"])
    assert f"magma/steady/toy:{facts['digest'][:16]}" in image.tags
