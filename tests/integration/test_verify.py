"""`magma-remote verify` on a WORKDIR with every defect, and what manifest.json tells of a sound one."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from contextlib import closing
from dataclasses import replace
from socket import AF_UNIX, socket
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.cli.provenance import tell_dispatched
from magma_remote.model.campaign_request import CampaignRequest
from magma_remote.model.entries import JobState
from magma_remote.model.layout import trial_key
from magma_remote.model.outcome import Reason
from magma_remote.runtime.dispatcher.extending import extend
from tests.dispatched import call, refused
from tests.merged import Merged, a_ball, cut
from tests.proven import COMMIT, DONE, JOBS, TEXT, Proven, proven, text_of
from tests.result_folder import contents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ENTRY = "ar/afl/libpng/readpng/0"
KEY = trial_key(JOBS[0])
SOUND_TEXT = text_of(JOBS[:DONE])


@pytest.fixture(autouse=True)
def _fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def sound(tmp_path: Path) -> Iterator[Proven]:
    made = proven(tmp_path, jobs=JOBS[:DONE])
    with closing(made.ledger):
        made.finish(all_done=True)
        yield made
    subprocess.run(["rm", "-rf", made.workdir.root], check=True)  # pytest's own way ends at 1,000 folders in folders


def _checked(place: Proven | Path, code: int) -> dict[str, Any]:
    root = place if not isinstance(place, Proven) else place.workdir.root
    found: dict[str, Any] = json.loads(call("verify", str(root), "--json", code=code).stdout)
    return found


def _wrongs(place: Proven | Path) -> list[tuple[str, str]]:
    return [(one["fault"], one["path"]) for one in _checked(place, 1)["wrong"]]


def test_a_sound_workdir(sound: Proven) -> None:
    before = contents(sound.workdir.root)
    found = _checked(sound, 0)
    assert (found["ok"], found["expected"], found["proven"], found["wrong"]) == (True, DONE, DONE, [])
    assert found["files"] > DONE * 10
    assert contents(sound.workdir.root) == before
    said = call("verify", str(sound.workdir.root)).stdout
    assert said.startswith("All well: 3 of 3 trials are there, each as it was written (")
    assert len(said.splitlines()) == 1


def _without_ledger(sound: Proven) -> None:
    sound.ledger.close()
    for path in sound.workdir.root.glob("ledger.sqlite*"):
        path.unlink()


def test_a_sound_workdir_without_its_ledger(sound: Proven) -> None:
    _without_ledger(sound)
    assert _checked(sound, 0)["proven"] == DONE


def _write(path: str, text: str = "x") -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)

    return spoil


def _unlink(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).unlink()


def _flip(path: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        data = bytearray((root / path).read_bytes())
        data[len(data) // 2] ^= 1
        (root / path).write_bytes(data)

    return spoil


def _chmod(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).chmod(0o604)


def _remove(path: str) -> Callable[[Path], None]:
    return lambda root: shutil.rmtree(root / path)


def _link(root: Path) -> None:
    (root / ENTRY / "findings/up").unlink()
    (root / ENTRY / "findings/up").symlink_to("../monitor/6")


LOG = "log/afl_libpng_readpng_0_container.log"
POC = "poc/afl_libpng_readpng_AAH001.0123abcd"
BUILD = "log/afl_libpng_build_10.0.0.1.log"


def _pipe(path: str) -> Callable[[Path], None]:
    """Who opens one to read it waits for somebody who writes."""

    def spoil(root: Path) -> None:
        (root / path).unlink(missing_ok=True)
        os.mkfifo(root / path)

    return spoil


def _deep(root: Path) -> None:
    """Deeper than Python calls itself; a path of Linux takes no more than 4,096 bytes, a command what is left."""
    descriptor = os.open(root / ENTRY, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)


def _socket(root: Path) -> None:
    descriptor = os.open(root / ENTRY, os.O_RDONLY)
    with closing(socket(AF_UNIX)) as made:  # by a short path: one of a socket has an end
        made.bind(f"/proc/self/fd/{descriptor}/socket")
    os.close(descriptor)


DEFECTS = {
    "missing trial": (_remove(ENTRY), [("missing", ENTRY)]),
    "missing file": (_unlink(f"{ENTRY}/big"), [("missing", f"{ENTRY}/big")]),
    "altered file": (_flip(f"{ENTRY}/big"), [("altered", f"{ENTRY}/big")]),
    "altered link": (_link, [("altered", f"{ENTRY}/findings/up")]),
    "cut file": (lambda root: cut(root / ENTRY / "big", 10), [("altered", f"{ENTRY}/big")]),
    "extra file in a trial": (_write(f"{ENTRY}/monitor/7"), [("extra", f"{ENTRY}/monitor/7")]),
    "extra trial": (_write("ar/afl/libpng/readpng/9/ball.tar"), [("extra", "ar/afl/libpng/readpng/9")]),
    "extra file in ar": (_write("ar/afl/x"), [("extra", "ar/afl/x")]),
    "empty folder in ar": (lambda root: (root / "ar/afl/x").mkdir(), [("extra", "ar/afl/x")]),
    "empty folders in ar": (lambda root: (root / "ar/x/y/z").mkdir(parents=True), [("extra", "ar/x/y/z")]),
    "page for an index": (_write("poc/index.html"), [("extra", "poc/index.html")]),
    "missing log": (_unlink(LOG), [("missing", LOG)]),
    "altered log": (_flip(LOG), [("altered", LOG)]),
    "altered build log": (_flip(BUILD), [("altered", BUILD)]),
    "extra log": (_write("log/x.log"), [("extra", "log/x.log")]),
    "missing poc": (_unlink(POC), [("missing", POC)]),
    "altered poc": (_flip(POC), [("altered", POC)]),
    "extra poc": (_write("poc/afl_libpng_readpng_NEW.01234567"), [("extra", "poc/afl_libpng_readpng_NEW.01234567")]),
    "extra folder": (_write("poc/x/y"), [("extra", "poc/x")]),
    "missing record": (_unlink(f"trials/{KEY}.json"), [("missing", f"trials/{KEY}.json")]),
    "altered record": (_flip(f"trials/{KEY}.json"), [("altered", f"trials/{KEY}.json")]),
    "extra record": (_write("trials/a,b,c,0.json"), [("extra", "trials/a,b,c,0.json")]),
    "missing manifest": (_unlink(f"manifests/{KEY}.json"), [("missing", f"manifests/{KEY}.json")]),
    "extra manifest": (_write("manifests/a,b,c,0.json"), [("extra", "manifests/a,b,c,0.json")]),
    "missing execution": (_unlink(f"executions/{KEY}.json"), [("missing", f"executions/{KEY}.json")]),
    "altered execution": (_flip(f"executions/{KEY}.json"), [("altered", f"executions/{KEY}.json")]),
    "extra execution": (_write("executions/x"), [("extra", "executions/x")]),
    "pipe in a trial": (_pipe(f"{ENTRY}/pipe"), [("extra", f"{ENTRY}/pipe")]),
    "socket in a trial": (_socket, [("extra", f"{ENTRY}/socket")]),
    "pipe for a file": (_pipe(f"{ENTRY}/big"), [("extra", f"{ENTRY}/big"), ("missing", f"{ENTRY}/big")]),
    "pipe for a log": (_pipe(LOG), [("extra", LOG)]),
    "pipe for a record": (_pipe(f"trials/{KEY}.json"), [("extra", f"trials/{KEY}.json")]),
    "pipe for a manifest": (_pipe(f"manifests/{KEY}.json"), [("altered", f"manifests/{KEY}.json")]),
    "pipe for an execution": (_pipe(f"executions/{KEY}.json"), [("altered", f"executions/{KEY}.json")]),
    "pipe for manifest.json": (_pipe("manifest.json"), [("altered", "manifest.json")]),
    "folders without end": (_deep, [("extra", f"{ENTRY}/{'/'.join('d' * (depth + 1))}") for depth in range(1500)]),
    "missing manifest.json": (_unlink("manifest.json"), [("missing", "manifest.json")]),
    "damaged manifest.json": (_write("manifest.json", "{"), [("altered", "manifest.json")]),
    "damaged origin.json": (_write("origin.json", "{}"), [("altered", "origin.json")]),
    "pipe for origin.json": (_pipe("origin.json"), [("altered", "origin.json")]),
    "emptied manifest.json": (_write("manifest.json", "{}"), [("altered", "manifest.json")]),
}


@pytest.mark.parametrize(
    ("spoil", "expected"), [pytest.param(*defect, id=name.replace(" ", "-")) for name, defect in DEFECTS.items()]
)
def test_each_defect_is_named(sound: Proven, spoil: Callable[[Path], None], expected: list[tuple[str, str]]) -> None:
    spoil(sound.workdir.root)
    assert _wrongs(sound) == expected


@pytest.mark.parametrize("name", ["altered file", "missing log", "missing trial", "altered execution"])
def test_defects_are_named_without_the_ledger(sound: Proven, name: str) -> None:
    _without_ledger(sound)
    spoil, expected = DEFECTS[name]
    spoil(sound.workdir.root)
    assert _wrongs(sound) == expected


def test_modes_are_a_copys_own(sound: Proven) -> None:
    for path in (f"{ENTRY}/big", LOG):
        _chmod(path)(sound.workdir.root)
    assert _checked(sound, 0)["notes"] == [
        "2 files and folders have another mode than they were written with, as copies do"
    ]


def _told(sound: Proven) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((sound.workdir.root / "manifest.json").read_bytes())
    return found


def _forged(sound: Proven, change: Callable[[dict[str, Any]], object]) -> list[dict[str, Any]]:
    told = _told(sound)
    change(told)
    (sound.workdir.root / "manifest.json").write_text(json.dumps(told))
    wrong: list[dict[str, Any]] = _checked(sound, 1)["wrong"]
    return wrong


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
    assert any(words in one["message"] for one in _forged(sound, change))


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
        _without_ledger(sound)
    messages = [one["message"] for one in _forged(sound, change) if one["path"] == "manifest.json"]
    assert "it does not have the digest at its end" in messages


def _resealed(sound: Proven, change: Callable[[dict[str, Any]], object]) -> list[tuple[str, str]]:
    """What is named of a manifest.json that was altered, and given the digest of what it is now."""
    path = sound.workdir.root / "manifest.json"
    told = _told(sound)
    change(told)
    del told["sha256"]
    text = f"{json.dumps(told)[:-1]}, "
    path.write_text(f'{text}"sha256": "{hashlib.sha256(text.encode()).hexdigest()}"}}\n')
    return [(one["path"], one["message"]) for one in _checked(sound, 1)["wrong"]]


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
    found = _resealed(sound, (OF_THE_LEDGER | OF_THE_WORKDIR)[name])
    of = f" of {KEY}" if name in _told(sound)["trials"][0] else ""
    assert any(path == "manifest.json" and text.startswith(f"its {name}{of} is ") for path, text in found)
    assert not any("digest at its end" in text for _, text in found)


@pytest.mark.parametrize("name", [*OF_THE_WORKDIR, "worker", "host"])
def test_each_fact_that_is_in_workdir_is_held_against_it(sound: Proven, name: str) -> None:
    _without_ledger(sound)
    found = _resealed(sound, (OF_THE_LEDGER | OF_THE_WORKDIR)[name])
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
    _without_ledger(sound)
    assert ("manifest.json", words) in _resealed(sound, change)


def test_a_manifest_json_that_is_yet_to_be_written_anew_is_no_defect(tmp_path: Path) -> None:
    """It is written as dispatch and collect end: what a person does to jobs in between is not in it."""
    made = proven(tmp_path)
    with closing(made.ledger):
        tell_dispatched(made.workdir.root, made.ledger)  # as the campaign is extended
        campaign, (dead,) = made.ledger.campaign(), made.ledger.jobs(JobState.DEAD)
        assert campaign
        made.ledger.save_job(replace(dead, attempts=2))
        assert {one["fault"] for one in _checked(made, 1)["wrong"]} == {"missing"}
        made.finish()
        made.ledger.save_job(replace(dead, reason=Reason.DROPPED, message="dropped by a person"))
        assert {one["fault"] for one in _checked(made, 1)["wrong"]} == {"missing"}
        made.ledger.save_job(replace(dead, attempts=1))
        assert f"its attempts of {trial_key(JOBS[3])} is 2, and should be 1" in [
            one["message"] for one in _checked(made, 1)["wrong"]
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
        _without_ledger(sound)
    messages = [one["message"] for one in _forged(sound, change) if one["path"] == "manifest.json"]
    assert any(message.startswith("it is not as it was written: ") for message in messages)
    if not ledger:
        assert "manifest.json cannot be read" in refused("summary", str(sound.workdir.root))


@pytest.mark.parametrize(
    "index",
    [
        pytest.param("[", id="no JSON"),
        pytest.param("[" * 100_000, id="depth"),
        pytest.param("[]", id="no object"),
        pytest.param('{"bugs": {"t": {"b": [{"file": "\\ud800", "sha256": "x"}]}}}', id="a name that is none"),
        pytest.param('{"bugs": {"t": {"b": [{"file": "../x", "sha256": "x"}]}}}', id="a path"),
        pytest.param('{"bugs": {"t": {"b": [{"file": "x", "sha256": 5}]}}}', id="no digest"),
        pytest.param('{"bugs": {"t": [5]}}', id="no bugs"),
    ],
)
def test_an_index_that_is_none_is_named(sound: Proven, index: str) -> None:
    (sound.workdir.pocs / "index.json").write_text(index)
    assert _wrongs(sound) == [("altered", "poc/index.json")]


def test_trials_that_manifest_json_does_not_name_are_extra(sound: Proven) -> None:
    _without_ledger(sound)
    assert ("extra", ENTRY) in [(one["fault"], one["path"]) for one in _forged(sound, lambda t: t.update(trials=[]))]


def test_manifest_json_that_says_the_same_stays(sound: Proven) -> None:
    path = sound.workdir.root / "manifest.json"
    before = path.stat()
    sound.finish()
    assert path.stat().st_ino == before.st_ino
    sound.ledger.save_run(replace(next(iter(sound.ledger.runs())), cpus=(5,)))
    sound.finish()
    assert path.stat().st_ino != before.st_ino
    assert _checked(sound, 0)["ok"]


def test_a_forged_result_is_named_by_the_ledger(sound: Proven) -> None:
    """Whoever rewrites a trial's file, its manifest and manifest.json alike has not rewritten the ledger."""
    root = sound.workdir.root
    _flip(LOG)(root)
    path = root / "manifests" / f"{KEY}.json"
    told = json.loads(path.read_bytes())
    for entry in told["entries"]:
        if entry["path"] == LOG:
            entry["sha256"] = hashlib.sha256((root / LOG).read_bytes()).hexdigest()
    path.write_text(json.dumps(told))
    assert ("altered", f"manifests/{KEY}.json") in _wrongs(sound)


def test_many_defects_at_once_are_bounded_on_a_terminal(sound: Proven) -> None:
    for number in range(50):
        _write(f"log/extra{number}")(sound.workdir.root)
    _flip(LOG)(sound.workdir.root)
    lines = call("verify", str(sound.workdir.root), code=1).stdout.splitlines()
    assert lines[0].startswith("Not well: 1 altered, 50 extra; 2 of 3 trials are there as they were written")
    assert len([line for line in lines if line.startswith("extra: ")]) == 21
    assert lines[-1] == "extra: and 30 more, which --json lists"
    assert len(_checked(sound, 1)["wrong"]) == 51


def test_names_from_outside_are_fit_for_a_terminal(sound: Proven) -> None:
    (sound.workdir.root / "log" / os.fsdecode(b"\x1b[2J\xff")).write_text("x")
    said = call("verify", str(sound.workdir.root), code=1).stdout
    assert "\x1b" not in said
    assert "extra: log/" in said


def test_a_poc_that_was_extracted_later_proves_itself(sound: Proven) -> None:
    name = f"afl_libpng_readpng_AAH003.{hashlib.sha256(b'later').hexdigest()[:8]}"
    (sound.workdir.pocs / name).write_bytes(b"later")
    (sound.workdir.pocs / "index.json").write_text('{"version": 1, "bugs": {}, "trials": [], "others": []}')
    assert _checked(sound, 0)["ok"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"later", [], id="sound"),
        pytest.param(b"other", ["altered"], id="altered"),
        pytest.param(None, ["missing"], id="missing"),
    ],
)
def test_pocs_are_held_against_the_index(sound: Proven, content: bytes | None, expected: list[str]) -> None:
    sha256 = hashlib.sha256(b"later").hexdigest()
    name = f"afl_libpng_readpng_AAH003.{sha256[:8]}"
    index = {"version": 1, "bugs": {"libpng": {"AAH003": [{"file": name, "sha256": sha256}]}}}
    (sound.workdir.pocs / "index.json").write_text(json.dumps(index))
    if content:
        (sound.workdir.pocs / name).write_bytes(content)
    found = _checked(sound, 1 if expected else 0)
    assert [(one["fault"], one["path"]) for one in found["wrong"]] == [(fault, f"poc/{name}") for fault in expected]


OWN_BUILD = "log/afl_libpng_build_10.9.9.9.log"


@pytest.mark.parametrize("ledger", [True, False], ids=["ledger", "no-ledger"])
@pytest.mark.parametrize(
    ("spoil", "faults"),
    [
        pytest.param(lambda _: None, [], id="sound"),
        pytest.param(_write(OWN_BUILD, "other"), [("altered", OWN_BUILD)], id="altered"),
        pytest.param(_unlink(OWN_BUILD), [("missing", OWN_BUILD)], id="missing"),
        pytest.param(
            _write("log/afl_libpng_build_evil.log"), [("extra", "log/afl_libpng_build_evil.log")], id="another"
        ),
    ],
)
def test_what_the_dispatcher_built_is_compared(
    sound: Proven,
    spoil: Callable[[Path], None],
    faults: list[tuple[str, str]],
    ledger: bool,
) -> None:
    _write(OWN_BUILD, "built")(sound.workdir.root)
    _write("log/dispatcher.jsonl.1", "{}")(sound.workdir.root)
    sound.finish()
    assert list(_told(sound)["others"]) == [OWN_BUILD]
    if not ledger:
        _without_ledger(sound)
    spoil(sound.workdir.root)
    found = _checked(sound, 1 if faults else 0)
    assert [(one["fault"], one["path"]) for one in found["wrong"]] == faults
    assert found["notes"] == []


@pytest.mark.parametrize("name", ["altered", "missing"])
def test_a_manifest_json_that_is_written_anew_does_not_hide_it(sound: Proven, name: str) -> None:
    _write(OWN_BUILD, "built")(sound.workdir.root)
    sound.finish()
    (_flip if name == "altered" else _unlink)(OWN_BUILD)(sound.workdir.root)
    sound.finish()
    assert _wrongs(sound) == [(name, OWN_BUILD)]


def test_builds_of_a_campaign_that_goes_on_are_not_compared(tmp_path: Path) -> None:
    made = proven(tmp_path)
    _write(OWN_BUILD, "built")(made.workdir.root)
    with closing(made.ledger):
        note = "1 build logs are in no trial's manifest, and were not compared with anything"
        assert note in _checked(made, 1)["notes"]


def test_dead_trials_are_missing_by_name_and_reason(tmp_path: Path) -> None:
    made = proven(tmp_path)
    with closing(made.ledger):
        made.finish()
        found = _checked(made, 1)
    assert (found["expected"], found["proven"]) == (4, DONE)
    message = "ended_early: the fuzzer ended after 2.1 s of 20 s"
    assert found["wrong"] == [{"fault": "missing", "path": "ar/afl/libpng/readpng/3", "message": message}]


def test_a_campaign_that_goes_on_is_told(tmp_path: Path) -> None:
    made = proven(tmp_path)
    with closing(made.ledger):
        assert _checked(made, 1)["notes"] == ["the campaign has not ended: trials that still run count as missing"]


def test_a_captains_workdir_is_unproven(tmp_path: Path) -> None:
    merged = Merged(tmp_path / "workdir")
    merged.add()
    merged.add(("afl", "libpng", "readpng", 2))
    found = _checked(merged.root, 1)
    assert [(one["fault"], one["path"]) for one in found["wrong"]] == [
        ("missing", "ar/afl/libpng/readpng/1"),
        ("unproven", "ar/afl/libpng/readpng/0"),
        ("unproven", "ar/afl/libpng/readpng/2"),
    ]
    assert (found["expected"], found["proven"]) == (None, 0)
    assert "nobody wrote down what the files were" in found["notes"][0]


def test_a_captains_fuzzer_with_fewer_repeats_is_told(tmp_path: Path) -> None:
    merged = Merged(tmp_path / "workdir")
    for fuzzer, run in (("afl", 0), ("afl", 1), ("honggfuzz", 0)):
        merged.add((fuzzer, "libpng", "readpng", run))
    found = _checked(merged.root, 1)
    assert {one["fault"] for one in found["wrong"]} == {"unproven"}
    assert found["notes"][1].startswith("honggfuzz/libpng has 1 repeats where others have 2: ")
    assert "odd: honggfuzz/libpng has 1 repeats" in call("summary", str(merged.root), "-o", os.devnull).stderr


def test_a_cut_tarball_of_a_captain_is_missing(tmp_path: Path) -> None:
    merged = Merged(tmp_path / "workdir")
    cut(merged.add(ball=a_ball()), 1000)
    assert _wrongs(merged.root) == [("missing", ENTRY)]


def test_the_index_has_no_say_on_what_manifest_json_lists(tmp_path: Path) -> None:
    made = proven(tmp_path, jobs=JOBS[:DONE])
    with closing(made.ledger):
        made.finish(all_done=True)
        name = f"afl_libpng_readpng_AAH003.{'0' * 8}"
        (made.workdir.pocs / name).write_bytes(b"later")
        told = _told(made)
        told["others"] = {f"poc/{name}": hashlib.sha256(b"as it was").hexdigest()}
        (made.workdir.root / "manifest.json").write_text(json.dumps(told))
        poc = {"file": name, "sha256": hashlib.sha256(b"later").hexdigest()}
        index = {"version": 1, "bugs": {"libpng": {"AAH003": [poc]}}}
        (made.workdir.pocs / "index.json").write_text(json.dumps(index))
        assert ("altered", f"poc/{name}") in _wrongs(made)


def test_what_is_no_workdir_is_refused(tmp_path: Path) -> None:
    assert "has no folder ar/" in refused("verify", str(tmp_path))


def test_a_manifest_of_another_version_is_refused(sound: Proven) -> None:
    (sound.workdir.root / "manifest.json").write_text('{"version": 2}')
    assert "of another version" in refused("verify", str(sound.workdir.root))


def test_what_manifest_json_tells(sound: Proven) -> None:
    told = _told(sound)
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
    (wrong,) = _checked(sound, 1)["wrong"]
    assert (wrong["fault"], wrong["path"]) == ("missing", "ar/afl/libpng/readpng/3")
    tell_dispatched(sound.workdir.root, sound.ledger)
    (edition,) = _told(sound)["campaign"]["editions"]
    digest = hashlib.sha256(SOUND_TEXT.encode()).hexdigest()
    assert (edition["sha256"], edition["jobs"], edition["until"]) == (digest, DONE, 2500.0)
    assert _checked(sound, 1)["wrong"] == [wrong]
