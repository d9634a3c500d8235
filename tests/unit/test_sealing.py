"""What a quickrun writes down of its trials, so that they can be verified later."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.adapters.memory_container import Script
from magma_remote.model.layout import trial_key
from magma_remote.runtime.verifying.workdir import verify_workdir
from magma_remote.runtime.workdir.sealing import QuickrunFacts, note_begun, seal
from tests.support.memory.quickrun import Lab, a_job

if TYPE_CHECKING:
    from magma_remote.model.verdict import Verdict

TEXT = "REPEAT: 3\n"
FACTS = QuickrunFacts(
    source="c.hjson",
    text=TEXT,
    settings={"REPEAT": 3},
    timeout=60.0,
    tree="ab" * 32,
    host="here",
    magma={"commit": "c0ffee", "dirty": False, "changes": []},
)


def _sealed(lab: Lab, host: str = "here") -> dict[str, Any]:
    note_begun(lab.workdir, FACTS, len(lab.results))
    told: dict[str, Any] = json.loads(seal(lab.workdir, replace(FACTS, host=host), lab.results).read_bytes())
    return told


def _wrongs(verdict: Verdict) -> list[tuple[str, str]]:
    return [(wrong.fault.value, wrong.path) for wrong in verdict.wrongs]


@pytest.mark.parametrize("no_archive", [False, True], ids=["tarballs", "folders"])
def test_a_quickrun_can_be_verified(lab: Lab, no_archive: bool) -> None:
    lab.settings(no_archive=no_archive)
    lab.run()
    told = _sealed(lab)
    verdict = verify_workdir(lab.workdir, None, processes=1)
    assert _wrongs(verdict) == []
    assert (verdict.expected, verdict.proven) == (3, 3)
    assert told["made_by"] == "magma-remote quickrun"
    assert told["campaign"]["sha256"] == hashlib.sha256(TEXT.encode()).hexdigest()
    assert told["magma"] == {"commit": "c0ffee", "dirty": False, "changes": [], "later": [], "tree": "ab" * 32}
    trial = told["trials"][0]
    assert (trial["machine"]["host"], trial["machine"]["docker"]) == ("memory", "1.0")
    assert trial["bases"] == ["debian:12@sha256:debian:12"]
    assert (trial["host"], trial["recipe"], trial["worker"], trial["attempts"]) == ("here", _recipe(lab), None, None)
    assert told["images"]["afl/libpng"]["recipes"] == [_recipe(lab)]
    assert told["campaign"]["ended_at"] == max(trial["terminated_at"] for trial in told["trials"])


MORE = replace(FACTS, text="REPEAT: 4\n", tree="cd" * 32, magma={"commit": "beef", "dirty": True, "changes": ["M x"]})


@pytest.mark.parametrize("lost", [(), ("origin.json",)], ids=["noted", "origin.json is lost"])
def test_a_later_call_tells_the_tree_that_its_trials_ran_with(lab: Lab, lost: tuple[str, ...]) -> None:
    lab.run()
    first = _sealed(lab)
    for name in lost:
        (lab.workdir.root / name).unlink()
    for facts in (FACTS, MORE, MORE):  # the same file and tree are no other edition
        note_begun(lab.workdir, facts, len(lab.results))
    told = json.loads(seal(lab.workdir, MORE, lab.results).read_bytes())
    assert (told["magma"]["commit"], told["magma"]["tree"]) == ("c0ffee", "cd" * 32)
    assert told["versions"] == first["versions"]
    assert told["campaign"]["since"] == first["campaign"]["since"]
    (later,) = told["magma"]["later"]
    assert later["magma"] == MORE.magma
    assert later["at"] >= told["campaign"]["since"]
    digest = hashlib.sha256(TEXT.encode()).hexdigest()
    edition = {"source": "c.hjson", "sha256": digest, "tree": "ab" * 32, "jobs": 3, "until": later["at"]}
    assert told["campaign"]["editions"] == [edition]


def _recipe(lab: Lab) -> str:
    return lab.results[0].digest


def test_an_altered_file_is_found(lab: Lab) -> None:
    lab.run()
    _sealed(lab)
    ball = lab.workdir.entry(a_job(1)) / "ball.tar"
    ball.write_bytes(ball.read_bytes().replace(b"monitor", b"monitoR", 1))
    assert _wrongs(verify_workdir(lab.workdir, None, processes=1)) == [("altered", "ar/afl/libpng/readpng/1/ball.tar")]


def test_a_failed_trial_is_missing_and_its_log_is_no_extra(lab: Lab) -> None:
    lab.scripts = {a_job(2): Script(pruned=None)}
    lab.run()
    told = _sealed(lab)
    verdict = verify_workdir(lab.workdir, None, processes=1)
    assert [wrong.path for wrong in verdict.wrongs] == ["ar/afl/libpng/readpng/2"]
    assert verdict.wrongs[0].message.startswith("not_launched: ")
    assert f"trials/{trial_key(a_job(2))}.json" in told["others"]


def test_what_was_sealed_once_stays_so(lab: Lab) -> None:
    """A file that was altered between two runs is not taken for what its trial wrote."""
    lab.run()
    _sealed(lab, host="first")
    (lab.workdir.entry(a_job(0)) / "ball.tar").write_bytes(b"altered")
    lab.run_unchecked()
    told = _sealed(lab, host="second")
    assert [trial["host"] for trial in told["trials"]] == ["first"] * 3
    assert _wrongs(verify_workdir(lab.workdir, None, processes=1)) == [("altered", "ar/afl/libpng/readpng/0/ball.tar")]
