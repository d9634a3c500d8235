"""What manifest.json tells of a WORKDIR, and what `magma-remote verify` holds it against."""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.cli.provenance import tell_dispatched
from magma_remote.model.campaign_request import CampaignRequest
from magma_remote.model.entries import JobState
from magma_remote.model.layout import trial_key
from magma_remote.model.outcome import Reason
from magma_remote.runtime.dispatcher.extending import extend
from tests.support.commands import refused
from tests.support.workdirs.finished import COMMIT, DONE, JOBS, TEXT, Proven, proven
from tests.support.workdirs.spoiling import (
    ENTRY,
    KEY,
    LOG,
    SOUND_TEXT,
    checked,
    forged,
    manifest_of,
    resealed,
    without_ledger,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("fast_disk")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lambda told: told["campaign"].update(text="x"), "does not have its digest", id="text"),
        pytest.param(
            lambda told: told["campaign"].update(id="x"), "of another campaign than the ledger", id="campaign"
        ),
        pytest.param(lambda told: told["trials"].pop(), "does not tell of", id="trial is gone"),
        pytest.param(
            lambda told: told["trials"][0].update(manifest_sha256="0" * 64),
            "that manifest.json tells of",
            id="manifest",
        ),
        pytest.param(
            lambda told: told["trials"][0]["files"].update({LOG: "0" * 64}), "its digests of", id="digest of a file"
        ),
        pytest.param(lambda told: told["trials"][0].update(state="dead"), "does not tell of", id="state"),
        pytest.param(lambda told: told["trials"][0].update(fuzzer="../x"), "not as it was written", id="name"),
    ],
)
def test_a_forged_manifest_is_named(sound: Proven, change: Callable[[dict[str, Any]], object], words: str) -> None:
    assert any(words in one["message"] for one in forged(sound, change))


@pytest.mark.parametrize("ledger", [True, False], ids=["ledger", "no-ledger"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda told: told["magma"].update(commit="f" * 40), id="commit"),
        pytest.param(lambda told: told["campaign"].update(timeout=86_400.0), id="timeout"),
        pytest.param(lambda told: told["campaign"]["settings"].update(REPEAT=2), id="settings"),
        pytest.param(lambda told: told["trials"][0].update(cpus=[7]), id="cpus"),
        pytest.param(lambda told: told["trials"][0].update(attempts=9), id="attempts"),
        pytest.param(lambda told: told["trials"][0].update(image="sha256:0"), id="image"),
        pytest.param(lambda told: told.update(versions={}), id="versions"),
        pytest.param(lambda told: told.update(trials=[]), id="trials"),
    ],
)
def test_altered_provenance_is_named(
    sound: Proven,
    change: Callable[[dict[str, Any]], object],
    ledger: bool,
) -> None:
    if not ledger:
        without_ledger(sound)
    messages = [one["message"] for one in forged(sound, change) if one["path"] == "manifest.json"]
    assert "it does not have the digest at its end" in messages


OF_THE_LEDGER = {
    "attempts": lambda told: told["trials"][0].update(attempts=9),
    "worker": lambda told: told["trials"][0].update(worker="w9"),
    "host": lambda told: told["trials"][0].update(host="evil"),
    "started_at": lambda told: told["trials"][0].update(started_at=9.0),
    "ended_at": lambda told: told["trials"][0].update(ended_at=9.0),
    "cpus": lambda told: told["trials"][0].update(cpus=[7]),
    "campaign.timeout": lambda told: told["campaign"].update(timeout=86_400.0),
    "campaign.since": lambda told: told["campaign"].update(since=1.0),
    "campaign.state": lambda told: told["campaign"].update(state="cancelled"),
    "magma.commit": lambda told: told["magma"].update(commit="f" * 40),
    "magma.dirty": lambda told: told["magma"].update(dirty=False),
    "magma.tree": lambda told: told["magma"].update(tree="f" * 64),
    "versions.magma_remote": lambda told: told["versions"].update(magma_remote="9"),
    "workers": lambda told: told.update(workers=["w9"]),
    "made_by": lambda told: told.update(made_by="me"),
}
OF_THE_WORKDIR = {
    "image": lambda told: told["trials"][0].update(image="sha256:0"),
    "recipe": lambda told: told["trials"][0].update(recipe="0"),
    "machine": lambda told: told["trials"][0].update(machine={"host": "evil"}),
    "terminated_at": lambda told: told["trials"][0].update(terminated_at=9.0),
    "images": lambda told: told.update(images={}),
    "campaign.settings": lambda told: told["campaign"]["settings"].update(REPEAT=2),
}


@pytest.mark.parametrize("name", [*OF_THE_LEDGER, *OF_THE_WORKDIR])
def test_each_fact_of_manifest_json_is_held_against_the_ledger(sound: Proven, name: str) -> None:
    found = resealed(sound, (OF_THE_LEDGER | OF_THE_WORKDIR)[name])
    of = f" of {KEY}" if name in manifest_of(sound)["trials"][0] else ""
    assert any(path == "manifest.json" and text.startswith(f"its {name}{of} is ") for path, text in found)
    assert not any("digest at its end" in text for _, text in found)


@pytest.mark.parametrize("name", [*OF_THE_WORKDIR, "worker", "host"])
def test_each_fact_that_is_in_workdir_is_held_against_it(sound: Proven, name: str) -> None:
    without_ledger(sound)
    found = resealed(sound, (OF_THE_LEDGER | OF_THE_WORKDIR)[name])
    assert any(path == "manifest.json" and text.startswith(f"its {name} ") for path, text in found)


def _drop(told: dict[str, Any]) -> None:
    del told["trials"][1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lambda told: told["trials"].append(told["trials"][0]), f"it tells of {KEY} 2 times", id="twice"),
        pytest.param(_drop, "it does not tell of afl,libpng,readpng,1, which REPEAT asks for", id="one is gone"),
        pytest.param(
            lambda told: told.update(trials=[]), 'it tells of no trial of "afl", which FUZZERS asks for', id="all"
        ),
    ],
)
def test_what_the_campaign_file_asks_for_is_missed(
    sound: Proven, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    without_ledger(sound)
    assert ("manifest.json", words) in resealed(sound, change)


def test_a_manifest_json_that_is_yet_to_be_written_anew_is_no_defect(tmp_path: Path) -> None:
    """It is written as dispatch and collect end: what a person does to jobs in between is not in it."""
    made = proven(tmp_path)
    with closing(made.ledger):
        tell_dispatched(made.workdir.root, made.ledger)  # as the campaign is extended
        campaign, (dead,) = made.ledger.campaign(), made.ledger.jobs(JobState.DEAD)
        assert campaign
        made.ledger.save_job(replace(dead, attempts=2))
        assert {one["fault"] for one in checked(made, 1)["wrong"]} == {"missing"}
        made.finish()
        made.ledger.save_job(replace(dead, reason=Reason.DROPPED, message="dropped by a person"))
        assert {one["fault"] for one in checked(made, 1)["wrong"]} == {"missing"}
        made.ledger.save_job(replace(dead, attempts=1))
        assert f"its attempts of {trial_key(JOBS[3])} is 2, and should be 1" in [
            one["message"] for one in checked(made, 1)["wrong"]
        ]


@pytest.mark.parametrize("ledger", [True, False], ids=["ledger", "no-ledger"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda told: told["trials"][0].update(run=float("inf")), id="run"),
        pytest.param(lambda told: told["trials"][0].update(run=-1), id="run below zero"),
        pytest.param(lambda told: told["trials"][0].update(files=["x"]), id="files"),
        pytest.param(lambda told: told["trials"][0].update(execution_sha256=[]), id="execution"),
        pytest.param(lambda told: told["trials"][0].update(manifest_sha256=[1]), id="manifest"),
        pytest.param(lambda told: told["trials"][0].update(state="gone"), id="state"),
        pytest.param(lambda told: told["trials"][0].pop("run"), id="no run"),
        pytest.param(lambda told: told.update(trials={}), id="trials"),
        pytest.param(lambda told: told["trials"].append(5), id="a trial"),
        pytest.param(lambda told: told.update(others={"log/x": 5}), id="others"),
        pytest.param(lambda told: told["campaign"].update(text=5), id="text"),
        pytest.param(lambda told: told.update(campaign=None), id="campaign"),
        pytest.param(lambda told: told.pop("version"), id="no version"),
    ],
)
def test_what_is_of_another_shape_is_one_message(
    sound: Proven,
    change: Callable[[dict[str, Any]], object],
    ledger: bool,
) -> None:
    for path in sound.workdir.root.glob("manifests/*"):
        path.unlink()
    if not ledger:
        without_ledger(sound)
    messages = [one["message"] for one in forged(sound, change) if one["path"] == "manifest.json"]
    assert any(message.startswith("it is not as it was written: ") for message in messages)
    if not ledger:
        assert "manifest.json cannot be read" in refused("summary", str(sound.workdir.root))


def test_trials_that_manifest_json_does_not_name_are_extra(sound: Proven) -> None:
    without_ledger(sound)
    assert ("extra", ENTRY) in [(one["fault"], one["path"]) for one in forged(sound, lambda t: t.update(trials=[]))]


def test_manifest_json_that_says_the_same_stays(sound: Proven) -> None:
    path = sound.workdir.root / "manifest.json"
    before = path.stat()
    sound.finish()
    assert path.stat().st_ino == before.st_ino
    sound.ledger.save_run(replace(next(iter(sound.ledger.runs())), cpus=(5,)))
    sound.finish()
    assert path.stat().st_ino != before.st_ino
    assert checked(sound, 0)["ok"]


def test_a_manifest_of_another_version_is_refused(sound: Proven) -> None:
    (sound.workdir.root / "manifest.json").write_text('{"version": 2}')
    assert "of another version" in refused("verify", str(sound.workdir.root))


def test_what_manifest_json_tells(sound: Proven) -> None:
    told = manifest_of(sound)
    assert told["made_by"] == "magma-remote dispatch"
    assert told["campaign"]["text"] == SOUND_TEXT
    assert told["campaign"]["sha256"] == hashlib.sha256(SOUND_TEXT.encode()).hexdigest()
    assert told["campaign"]["settings"] == {"REPEAT": 3, "FUZZERS": ["afl"], "TIMEOUT": "20s"}
    assert told["magma"] == {
        "commit": COMMIT,
        "dirty": True,
        "changes": [" M fuzzers/afl/run.sh"],
        "later": [],
        "tree": "ab" * 32,
    }
    trial = told["trials"][1]
    names = ("fuzzer", "target", "program", "run", "state", "execution", "worker", "host", "cpus", "attempts")
    assert [trial[name] for name in names] == [
        "afl",
        "libpng",
        "readpng",
        1,
        "done",
        "1-0a1b2c",
        "w1",
        "127.0.0.1",
        [1],
        1,
    ]
    assert (trial["started_at"], trial["ended_at"], trial["worker_name"], trial["image"]) == (
        1100.0,
        1121.5,
        None,
        None,
    )
    path = sound.workdir.root / "ar/afl/libpng/readpng/1/big"
    assert trial["files"]["ar/afl/libpng/readpng/1/big"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert told["images"] == {"afl/libpng": {"manifest": None, "recipes": [], "ids": []}}


def test_an_extended_campaign_has_trials_to_come_and_is_no_other(sound: Proven) -> None:
    campaign = sound.ledger.campaign()
    assert campaign
    more = CampaignRequest(
        source="c.hjson", text=f"{TEXT}# more", tree=campaign.tree, timeout=campaign.timeout, jobs=JOBS
    )
    extend(sound.ledger, more, now=2500.0)
    (wrong,) = checked(sound, 1)["wrong"]
    assert (wrong["fault"], wrong["path"]) == ("missing", "ar/afl/libpng/readpng/3")
    tell_dispatched(sound.workdir.root, sound.ledger)
    (edition,) = manifest_of(sound)["campaign"]["editions"]
    digest = hashlib.sha256(SOUND_TEXT.encode()).hexdigest()
    assert (edition["sha256"], edition["jobs"], edition["until"]) == (digest, DONE, 2500.0)
    assert checked(sound, 1)["wrong"] == [wrong]
