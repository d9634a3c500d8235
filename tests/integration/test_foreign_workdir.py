"""Commands that read a WORKDIR say what is wrong with it: no traceback, and nothing that moves a terminal."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.support.commands import call, refused
from tests.support.workdirs.merged import Merged, a_ball, dump

if TYPE_CHECKING:
    from pathlib import Path

STRANGE = [os.fsdecode(b"a\xff"), 'a<blink>\n"\x1b[2J']
TOLD = {"version": 1, "campaign": {"settings": {}, "id": "x", "source": "y", "timeout": None}, "made_by": "z"}
DONE = {"fuzzer": "afl", "target": "libpng", "program": "readpng", "run": 0, "state": "done"}


@pytest.mark.parametrize("name", STRANGE, ids=["bytes", "escapes"])
def test_strange_names(tmp_path: Path, name: str) -> None:
    merged = Merged(tmp_path / "workdir")
    merged.add((name, "libpng", "readpng", 1), a_ball({"5": dump(1, 0, header="<blink>\x1b[2J_R,<blink>\x1b[2J_T")}))
    for command in (["summary", "-o", os.devnull], ["report", "-o", str(tmp_path / "report")], ["verify"]):
        ended = call(command[0], str(merged.root), *command[1:], code=1)
        assert "\x1b" not in ended.stdout + ended.stderr
    assert "<blink>" not in (tmp_path / "report/report.html").read_text()


@pytest.mark.parametrize("timeout", ["x", -5, float("nan"), None, [5]], ids=str)
def test_a_timeout_that_is_none(tmp_path: Path, timeout: object) -> None:
    merged = Merged(tmp_path / "workdir")
    merged.add()
    told = {**TOLD, "campaign": {**TOLD["campaign"], "timeout": timeout}, "trials": [DONE]}  # type: ignore[dict-item]
    (merged.root / "manifest.json").write_text(json.dumps(told))
    call("report", str(merged.root), "-o", str(tmp_path / "report"))
    found = json.loads((tmp_path / "report/data/report.json").read_text())
    assert found["horizon"] == {"seconds": 20.0, "is_timeout": False}


def test_json_that_is_nested_without_end(tmp_path: Path) -> None:
    merged = Merged(tmp_path / "workdir")
    merged.add()
    (merged.root / "manifest.json").write_text("[" * 100_000)
    assert "manifest.json cannot be read" in refused("summary", str(merged.root))
    assert "altered: manifest.json" in call("verify", str(merged.root), code=1).stdout


def test_a_report_of_trials_that_nobody_asked_for(tmp_path: Path) -> None:
    merged = Merged(tmp_path / "workdir")
    merged.add()
    (merged.root / "manifest.json").write_text(json.dumps({**TOLD, "trials": []}))
    said = refused("report", str(merged.root), "-o", str(tmp_path / "report"))
    assert "readpng/0 is a trial that the campaign did not ask for" in said


def test_an_empty_workdir_is_not_well(tmp_path: Path) -> None:
    merged = Merged(tmp_path / "workdir")
    assert "holds no trial" in refused("verify", str(merged.root))


@pytest.mark.parametrize(
    "command",
    [["summary", ""], ["verify", ""], ["summary", ".", "-o", ""], ["report", ".", "-o", ""], ["extract", ""]],
    ids=" ".join,
)
def test_an_empty_path_is_no_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    Merged(tmp_path).add()
    monkeypatch.chdir(tmp_path)
    assert "is empty: an unset variable?" in call(*command, code=2).stderr
    assert {path.name for path in tmp_path.iterdir()} == {"ar", "log", "poc"}


@pytest.mark.parametrize("command", ["summary", "verify", "extract", "report"])
@pytest.mark.parametrize(
    ("name", "why"), [("empty", "it has no folder ar/"), ("file", "it is a file"), ("none", "it is not there")]
)
def test_what_is_no_workdir(tmp_path: Path, command: str, name: str, why: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    output = ["-o", str(tmp_path / "report")] if command == "report" else []
    said = refused(command, str(tmp_path / name), *output)
    expected = f"{tmp_path / name} is no WORKDIR: {why}; name the folder that holds ar/ and log/"
    assert said == expected or (command, name) == ("report", "file")  # it may be what `summary --all` wrote


@pytest.mark.parametrize(
    "command",
    [
        ["summary", "loop"],
        ["verify", "loop"],
        ["report", "loop", "-o", "x"],
        ["extract", "loop"],
        ["summary", ".", "-o", "loop"],
        ["report", ".", "-o", "loop/x"],
    ],
    ids=" ".join,
)
def test_a_link_to_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    Merged(tmp_path).add()
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.chdir(tmp_path)
    assert "is a link to itself, or behind one" in call(*command, code=2).stderr
