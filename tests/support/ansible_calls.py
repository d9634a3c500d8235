"""Calls of our modules and plugins through Ansible itself, on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.places import ROOT

COMMAND = Path(sys.executable).with_name("magma-remote")
_TIMEOUT = 120


def environment(**variables: str) -> dict[str, str]:
    """That of a call from the repository's root, whatever the folder, with results as JSON."""
    settings = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "ANSIBLE_NOCOLOR": "1",
    }
    return {**os.environ, **settings, **variables}


def program(name: str) -> str:
    """An Ansible program of the environment that the tests run in."""
    return str(Path(sys.executable).with_name(name))


def module(name: str, *options: str, **arguments: object) -> dict[str, Any]:
    """What a module returns, as `said` what went to standard error; `options` are the command's, such as --check."""
    argv = [program("ansible"), "here", "-i", "here,", "-c", "local", "-m", name, "-a", json.dumps(arguments), *options]
    done = subprocess.run(argv, env=environment(), capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    _, mark, told = done.stdout.rpartition(" => ")
    assert mark, done.stdout + done.stderr
    answer, _ = json.JSONDecoder().raw_decode(told)
    assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    return {**answer, "failed": done.returncode != 0, "said": done.stderr}


def playbook(file: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A playbook on this machine, with Ansible's usual output."""
    argv = [program("ansible-playbook"), str(file), "-i", "here,", "-c", "local", *options]
    env = environment(ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default", ANSIBLE_CALLBACK_RESULT_FORMAT="yaml")
    return subprocess.run(
        argv, env=env | variables, capture_output=True, text=True, timeout=_TIMEOUT, check=False, cwd=file.parent
    )


@dataclass(frozen=True)
class FakeCommand:
    """A program in the place of `magma-remote` that says what a test tells it to, call by call."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> FakeCommand:
        """Write it into a folder of its own."""
        fake = cls(folder)
        fake.path.write_text(
            f"#!/usr/bin/python3 -I\nimport json, sys\nfrom pathlib import Path\nfolder = Path({str(folder)!r})\n"
            "calls = folder / 'calls'\nknown = calls.read_text().splitlines() if calls.exists() else []\n"
            "calls.write_text('\\n'.join([*known, json.dumps(sys.argv[1:])]))\n"
            "answers = json.loads((folder / 'answers').read_text())\n"
            "code, out, err = answers[min(len(known), len(answers) - 1)]\n"
            "sys.stdout.write(out)\nsys.stderr.write(err)\nsys.exit(code)\n"
        )
        fake.path.chmod(0o755)
        return fake

    @property
    def path(self) -> Path:
        """The program."""
        return self.folder / "magma-remote"

    def answers(self, *objects: dict[str, Any], code: int = 0, err: str = "") -> None:
        """Print these, one a call, and the last one from then on."""
        said = [(code, json.dumps({"version": 1, **each}), err) for each in objects]
        (self.folder / "answers").write_text(json.dumps(said))

    def refuses(self, err: str) -> None:
        """Print nothing but this."""
        (self.folder / "answers").write_text(json.dumps([(2, "", err)]))

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of each call so far."""
        calls = self.folder / "calls"
        return [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []
