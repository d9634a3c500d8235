"""Build logs, PoCs and their index: what `magma-remote verify` holds files in log/ and poc/ against."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.support.workdirs.finished import DONE, JOBS, Proven, proven
from tests.support.workdirs.spoiling import (
    checked,
    flip,
    manifest_of,
    unlink,
    without_ledger,
    write,
    wrongs,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("fast_disk")


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
    assert wrongs(sound) == [("altered", "poc/index.json")]


def test_a_poc_that_was_extracted_later_proves_itself(sound: Proven) -> None:
    name = f"afl_libpng_readpng_AAH003.{hashlib.sha256(b'later').hexdigest()[:8]}"
    (sound.workdir.pocs / name).write_bytes(b"later")
    (sound.workdir.pocs / "index.json").write_text('{"version": 1, "bugs": {}, "trials": [], "others": []}')
    assert checked(sound, 0)["ok"]


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
    found = checked(sound, 1 if expected else 0)
    assert [(one["fault"], one["path"]) for one in found["wrong"]] == [(fault, f"poc/{name}") for fault in expected]


OWN_BUILD = "log/afl_libpng_build_10.9.9.9.log"


@pytest.mark.parametrize("ledger", [True, False], ids=["ledger", "no-ledger"])
@pytest.mark.parametrize(
    ("spoil", "faults"),
    [
        pytest.param(lambda _: None, [], id="sound"),
        pytest.param(write(OWN_BUILD, "other"), [("altered", OWN_BUILD)], id="altered"),
        pytest.param(unlink(OWN_BUILD), [("missing", OWN_BUILD)], id="missing"),
        pytest.param(
            write("log/afl_libpng_build_evil.log"), [("extra", "log/afl_libpng_build_evil.log")], id="another"
        ),
    ],
)
def test_what_the_dispatcher_built_is_compared(
    sound: Proven,
    spoil: Callable[[Path], None],
    faults: list[tuple[str, str]],
    ledger: bool,
) -> None:
    write(OWN_BUILD, "built")(sound.workdir.root)
    write("log/dispatcher.jsonl.1", "{}")(sound.workdir.root)
    sound.finish()
    assert list(manifest_of(sound)["others"]) == [OWN_BUILD]
    if not ledger:
        without_ledger(sound)
    spoil(sound.workdir.root)
    found = checked(sound, 1 if faults else 0)
    assert [(one["fault"], one["path"]) for one in found["wrong"]] == faults
    assert found["notes"] == []


@pytest.mark.parametrize("name", ["altered", "missing"])
def test_a_manifest_json_that_is_written_anew_does_not_hide_it(sound: Proven, name: str) -> None:
    write(OWN_BUILD, "built")(sound.workdir.root)
    sound.finish()
    (flip if name == "altered" else unlink)(OWN_BUILD)(sound.workdir.root)
    sound.finish()
    assert wrongs(sound) == [(name, OWN_BUILD)]


def test_builds_of_a_campaign_that_goes_on_are_not_compared(tmp_path: Path) -> None:
    made = proven(tmp_path)
    write(OWN_BUILD, "built")(made.workdir.root)
    with closing(made.ledger):
        note = "1 build logs are in no trial's manifest, and were not compared with anything"
        assert note in checked(made, 1)["notes"]


def test_the_index_has_no_say_on_what_manifest_json_lists(tmp_path: Path) -> None:
    made = proven(tmp_path, jobs=JOBS[:DONE])
    with closing(made.ledger):
        made.finish(all_done=True)
        name = f"afl_libpng_readpng_AAH003.{'0' * 8}"
        (made.workdir.pocs / name).write_bytes(b"later")
        told = manifest_of(made)
        told["others"] = {f"poc/{name}": hashlib.sha256(b"as it was").hexdigest()}
        (made.workdir.root / "manifest.json").write_text(json.dumps(told))
        poc = {"file": name, "sha256": hashlib.sha256(b"later").hexdigest()}
        index = {"version": 1, "bugs": {"libpng": {"AAH003": [poc]}}}
        (made.workdir.pocs / "index.json").write_text(json.dumps(index))
        assert ("altered", f"poc/{name}") in wrongs(made)
