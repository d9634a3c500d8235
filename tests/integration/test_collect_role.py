"""What collect's role makes of what the commands answer: nothing is green that was not done."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.ansible_calls import COMMAND, playbook, program
from tests.support.places import ROOT
from tests.support.report.generated import generated

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

EXPERIMENT = generated(fuzzers=2, targets=1, repeats=3, bugs=3, lost=1)


@dataclass(frozen=True, kw_only=True)
class Role:
    """Tasks of the role on this machine, with a program in the place of the dispatcher's `magma-remote`."""

    folder: Path

    def play(self, tasks: str, *, code: int, out: str, err: str = "", command: str = str(COMMAND)) -> str:
        """What the play said; `code` 0 of it is what `fails` looks at."""
        done = self._play(tasks, code, out, err, command)
        return f"exit code {done.returncode}\n{done.stdout}{done.stderr}"

    def _play(self, tasks: str, code: int, out: str, err: str, command: str) -> CompletedProcess[str]:
        (self.folder / "out").write_text(out)
        (self.folder / "err").write_text(err)
        there = self.folder / "there"
        there.write_text(f"#!/bin/sh\ncat '{self.folder}/out'\ncat '{self.folder}/err' >&2\nexit {code}\n")
        there.chmod(0o755)
        variables = {
            "__collect_executable": str(there),
            "__collect_merged": {"workdir": "/var/lib/magma-remote/campaigns/mine/workdir"},
            "collect_command": command,
            "collect_reports": "reports",
            "ansible_playbook_python": program("python"),
        }
        task = {"ansible.builtin.include_role": {"name": "collect", "tasks_from": tasks}}
        play = [{"hosts": "all", "gather_facts": False, "tasks": [task]}]
        file = self.folder / "play.yml"
        file.write_text(json.dumps(play))
        return playbook(file, "-e", json.dumps(variables), ANSIBLE_ROLES_PATH=str(ROOT / "roles"))

    @property
    def report(self) -> Path:
        """Where it goes: relative to where the play was called."""
        return self.folder / "reports" / "mine"


@pytest.fixture
def role(tmp_path: Path) -> Role:
    return Role(folder=tmp_path)


def test_the_table_and_the_path(role: Role) -> None:
    said = role.play("report", code=1, out=EXPERIMENT.encode().decode() + "\n")
    assert said.startswith("exit code 0")
    assert "afl" in said
    assert f"5 of 6 trials, 1 missing. Page: {role.report}/report.html" in said
    assert "<h1>Results of mine</h1>" in (role.report / "report.html").read_text()
    assert (role.report / "data/experiment.json").read_bytes() == EXPERIMENT.encode() + b"\n"
    assert "changed=0" in role.play("report", code=1, out=EXPERIMENT.encode().decode() + "\n")


@pytest.mark.parametrize(
    ("code", "out", "err"),
    [
        pytest.param(1, "", "the ledger is damaged: bring back a copy", id="no answer"),
        pytest.param(2, "", "no campaign yet", id="refused"),
    ],
)
def test_a_failed_reading_fails_in_its_own_words_and_leaves_the_last_report(
    role: Role, code: int, out: str, err: str
) -> None:
    role.play("report", code=1, out=EXPERIMENT.encode().decode())
    before = (role.report / "data/experiment.json").read_bytes()
    said = role.play("report", code=code, out=out, err=err)
    assert said.startswith("exit code 2")
    assert err in said
    assert (role.report / "data/experiment.json").read_bytes() == before


def test_a_page_that_cannot_be_written_fails(role: Role) -> None:
    (role.report / "report.html").mkdir(parents=True)
    said = role.play("report", code=1, out=EXPERIMENT.encode().decode())
    assert said.startswith("exit code 2")
    assert "the report could not be written" in said


def test_a_command_that_is_not_there_fails(role: Role) -> None:
    said = role.play("report", code=1, out=EXPERIMENT.encode().decode(), command="magma-remote-not-there")
    assert said.startswith("exit code 2")
    assert "No such file or directory" in said


def test_without_the_libraries_it_says_where_the_figures_are(role: Role) -> None:
    bare = role.folder / "bare"
    bare.write_text(
        "#!/bin/sh\ncat >/dev/null\n"
        "echo 'magma-remote: the report needs scipy, not installed here: pip install' >&2\nexit 2\n"
    )
    bare.chmod(0o755)
    said = role.play("report", code=0, out=EXPERIMENT.encode().decode(), command=str(bare))
    assert said.startswith("exit code 0")
    assert "the report needs scipy" in said
    assert f"No page was made. All that it is made from is in {role.report}/data/experiment.json" in " ".join(
        said.split()
    )
    assert (role.report / "data/experiment.json").exists()


def test_a_verify_that_gives_no_verdict_fails_in_its_own_words(role: Role) -> None:
    said = role.play("verify", code=1, out="", err="the ledger is damaged: bring back a copy")
    assert said.startswith("exit code 2")
    assert "the ledger is damaged: bring back a copy" in said
    assert "from_json" not in said


def test_a_verdict_names_what_is_altered(role: Role) -> None:
    wrong = [{"fault": "altered", "path": "ar/a/b/c/0/ball.tar", "message": "its content is another"}]
    said = role.play("verify", code=1, out=json.dumps({"wrong": wrong, "files": 3, "proven": 1}))
    assert said.startswith("exit code 2")
    assert "ar/a/b/c/0/ball.tar" in said
