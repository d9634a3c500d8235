"""Following a campaign from a playbook, with a dispatcher that says what a test wants."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.ansible_calls import FakeCommand, environment, playbook, program
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

PLAY = """
- name: Follow
  hosts: all
  gather_facts: false
  tasks:
    - name: The campaign has ended
      magma_wait:
        interval: 1
        patience: {patience}
        settings: {folder}/dispatcher.hjson
        executable: {folder}/magma-remote
      register: ended
    - name: The end is told
      ansible.builtin.debug:
        msg: "in all {{{{ ended.total | default(0) }}}}, done {{{{ ended.counts.done | default(0) }}}}"
"""


def status(done: int, *, ended: bool = False, runs: bool = True, eta: float | None = 60.0) -> dict[str, Any]:
    return {
        "campaign": {"state": "ended" if ended else "open", "ended_at": 5.0 if ended else None},
        "dispatcher_runs": runs,
        "total": 2,
        "counts": {"waiting": 0, "queued": 2 - done, "running": 0, "fetched": 0, "done": done, "dead": 0},
        "unfetched": 0,
        "eta": eta,
        "warnings": [],
        "workers": [],
    }


@pytest.fixture
def fake(tmp_path: Path) -> FakeCommand:
    (tmp_path / "dispatcher.hjson").touch()
    return FakeCommand.make(tmp_path)


def play(fake: FakeCommand, *, patience: int = 60) -> Path:
    file = fake.folder / "play.yml"
    file.write_text(PLAY.format(folder=fake.folder, patience=patience), encoding="utf-8")
    return file


def test_each_change_is_a_line_and_the_end_is_the_end(fake: FakeCommand) -> None:
    fake.answers(status(0), status(0, eta=59.0), status(1), status(2, ended=True))
    done = playbook(play(fake))
    assert done.returncode == 0, done.stdout + done.stderr
    told = [line for line in done.stdout.splitlines() if "trials complete" in line]
    assert told == [
        "0 of 2 trials complete, 2 to come; about 1 min left",
        "1 of 2 trials complete, 1 to come; about 1 min left",
        "2 of 2 trials complete",
    ]
    assert "in all 2, done 2" in done.stdout
    assert "Ctrl-C stops looking; the campaign goes on" in done.stdout
    assert "changed=0" in done.stdout
    assert len(fake.calls) == 4


def test_a_dispatcher_that_is_away_for_a_moment(fake: FakeCommand) -> None:
    fake.answers(status(0, runs=False), status(1), status(1, runs=False), status(2, ended=True, runs=False))
    assert playbook(play(fake)).returncode == 0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(status(1, runs=False), "no dispatcher runs on here, and the campaign has not ended", id="gone"),
        pytest.param({"campaign": None}, "no campaign is there to follow on here", id="nothing"),
    ],
)
def test_what_ends_the_wait(fake: FakeCommand, answer: dict[str, Any], words: str) -> None:
    fake.answers(answer)
    done = playbook(play(fake, patience=1))
    assert done.returncode == 2
    assert words in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stdout + done.stderr


def test_a_host_that_says_nothing_for_too_long(fake: FakeCommand) -> None:
    fake.refuses("magma-remote: the ledger cannot be read")
    done = playbook(play(fake, patience=2))
    assert done.returncode == 2
    assert "the ledger cannot be read" in done.stdout + done.stderr
    assert len(fake.calls) > 1


def test_check_mode_waits_for_nothing(fake: FakeCommand) -> None:
    fake.answers(status(0))
    done = playbook(play(fake), "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert fake.calls == []


def test_an_interrupt_ends_the_looking(fake: FakeCommand) -> None:
    fake.answers(status(0))
    argv = [program("ansible-playbook"), str(play(fake)), "-i", "here,", "-c", "local"]
    env = environment(ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default")
    process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    until(lambda: len(fake.calls) > 1)
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode
    assert b"Ctrl-C stops looking; the campaign goes on" in out
    assert b"Traceback" not in out
