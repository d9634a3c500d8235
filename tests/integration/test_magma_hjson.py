"""Campaign files as extra vars, through a real ansible-playbook in a folder that is not the repository's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT

PLAYBOOK = """
- name: Tell the variables
  hosts: all
  gather_facts: false
  tasks:
    - name: Variables are told
      ansible.builtin.debug:
        msg: "{{ {'file': magma_campaign_file | default('unset'), 'other': other | default('unset'),
                  'leaked': vars.keys() | select('in', ['MAGMA', 'REPEAT', 'FUZZERS', 'other_key']) | list} }}"
"""
CAMPAIGN = """
# neither braces nor commas
MAGMA: ../magma   // no quotes
REPEAT: 3
/* an expression that would leave a file behind */
FUZZERS: [
  afl
  "{{ lookup('pipe', 'touch evaluated') }}"
]
other: overwritten
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "play.yml").write_text(PLAYBOOK, encoding="utf-8")
    (tmp_path / "campaign.hjson").write_text(CAMPAIGN, encoding="utf-8")
    return tmp_path


def play(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    }
    argv = [str(Path(sys.executable).with_name("ansible-playbook")), "play.yml", "-i", "here,", "-c", "local", *options]
    return subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)


def told(folder: Path, *options: str) -> dict[str, object]:
    result = play(folder, *options)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "WARNING" not in result.stderr
    facts = json.loads(result.stdout[result.stdout.index("{") :])["msg"]
    assert isinstance(facts, dict)
    return facts


@pytest.mark.parametrize(
    "typed", ["campaign.hjson", "./campaign.hjson", "{folder}/campaign.hjson"], ids=["name", "relative", "absolute"]
)
def test_the_path_alone_becomes_a_variable(typed: str, folder: Path) -> None:
    facts = told(folder, "-e", "@" + typed.format(folder=folder))
    assert facts == {"file": str(folder / "campaign.hjson"), "other": "unset", "leaked": []}
    assert not (folder / "evaluated").exists()


def test_a_path_is_no_template(folder: Path) -> None:
    name = "{{ lookup('pipe', 'touch evaluated') }}.hjson"
    (folder / name).write_text(CAMPAIGN, encoding="utf-8")
    assert told(folder, "-e", f"@{name}")["file"] == str(folder / name)
    assert not (folder / "evaluated").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("more.yml", 'other: "{{ 40 + 2 }}"', id="yaml"),
        pytest.param("more.json", '{"other": 42}', id="json"),
    ],
)
def test_other_extra_vars_go_on_working(name: str, content: str, folder: Path) -> None:
    (folder / name).write_text(content, encoding="utf-8")
    beside = told(folder, "-e", "@campaign.hjson", "-e", f"@{name}")
    assert beside == {"file": str(folder / "campaign.hjson"), "other": 42, "leaked": []}
    assert told(folder, "-e", f"@{name}")["file"] == "unset"
    assert told(folder, "-e", "other=42", "-e", "@campaign.hjson")["other"] == "42"


def test_a_missing_file_is_named_once(folder: Path) -> None:
    result = play(folder, "-e", "@missing.hjson")
    assert result.returncode == 5
    assert result.stdout == ""
    assert result.stderr.count("missing.hjson") == 1
    assert f"{folder}/missing.hjson: no such file" in " ".join(result.stderr.split())


def test_ansible_doc_shows_it() -> None:
    program = Path(sys.executable).with_name("ansible-doc")
    argv = [str(program), "-t", "inventory", "magma_hjson", "--json"]
    result = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(result.stdout)["magma_hjson"]["examples"]
