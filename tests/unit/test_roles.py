"""The shape that all roles share, and what their files say of each other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from scripts import role_readmes
from tests.support.places import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOT_PLAYBOOKS = ("deploy", "campaign", "collect")
ROLES = sorted(path.parent for path in (ROOT / "roles").glob("*/tasks"))
PLAYBOOKS = sorted([*(ROOT / f"{name}.yml" for name in ROOT_PLAYBOOKS), *(ROOT / "playbooks").glob("*.yml")])
FILES = {
    "README.md",
    "defaults/main.yml",
    "meta/argument_specs.yml",
    "meta/main.yml",
    *(f"tasks/{name}.yml" for name in ("main", "preflight", "install", "configure", "run", "remove")),
}
TASKS_LINES, PLAY_LINES = 60, 30

each_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def specs(role: Path) -> dict[str, Any]:
    found = read(role / "meta/argument_specs.yml")["argument_specs"]
    assert isinstance(found, dict)
    return found


def tasks(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        yield entry
        for part in ("block", "rescue", "always"):
            yield from tasks(entry.get(part, []))


def test_there_are_roles() -> None:
    assert len(ROLES) >= 6


@each_role
def test_each_role_has_the_same_files(role: Path) -> None:
    assert sorted(name for name in FILES if not (role / name).is_file()) == []


@each_role
def test_main_takes_the_steps_in_order(role: Path) -> None:
    steps = ["preflight", "install", "configure", "run"]
    expected = [(step.title(), f"{step}.yml") for step in steps]
    found = read(role / "tasks/main.yml")
    assert [(task["name"], task["ansible.builtin.import_tasks"]) for task in found] == expected


@each_role
def test_defaults_are_those_of_the_spec(role: Path) -> None:
    options = specs(role)["main"].get("options", {})
    documented = {name: option["default"] for name, option in options.items() if "default" in option}
    assert (read(role / "defaults/main.yml") or {}) == documented


@each_role
def test_specs_are_complete(role: Path) -> None:
    found = specs(role)
    assert "main" in found
    for spec in found.values():
        assert spec["short_description"]
        for name, option in spec.get("options", {}).items():
            assert name.startswith(f"{role.name}_")
            assert option["description"], name
            assert option["type"], name
            assert ("default" in option) != option.get("required", False), name
            assert option["type"] != "list" or option["elements"], name


@each_role
def test_readme_is_written_from_the_spec(role: Path) -> None:
    assert (role / "README.md").read_text(encoding="utf-8") == role_readmes.wanted(role), (
        "write it with: .venv/bin/python -m scripts.role_readmes"
    )


@each_role
def test_variables_have_the_roles_name(role: Path) -> None:
    private = [name for path in role.glob("vars/*.yml") for name in read(path) or {}]
    registered = [
        task["register"] for path in role.glob("[th]a*/*.yml") for task in tasks(read(path) or []) if "register" in task
    ]
    assert [name for name in private + registered if not name.startswith(f"__{role.name}_")] == []


@each_role
def test_tasks_files_are_short(role: Path) -> None:
    long = {path.name for path in role.glob("tasks/*.yml") if len(path.read_text().splitlines()) > TASKS_LINES}
    assert long == set()


@each_role
def test_no_task_hides_its_errors(role: Path) -> None:
    for path in role.glob("[th]a*/*.yml"):
        for task in tasks(read(path) or []):
            assert "ignore_errors" not in task, task["name"]
            if "ansible.builtin.command" in task and "creates" not in task["ansible.builtin.command"]:
                assert "changed_when" in task, task["name"]


@each_role
def test_roles_know_no_groups(role: Path) -> None:
    for path in role.rglob("*"):
        if path.is_file() and path.suffix in {".yml", ".j2"}:
            assert re.search(r"\bgroups\[|\bgroups\.|\bgroup_names\b", path.read_text()) is None, path


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_plays_are_short(playbook: Path) -> None:
    text = playbook.read_text(encoding="utf-8")
    plays = re.split(r"^- ", text, flags=re.MULTILINE)[1:]
    assert [play.splitlines()[0] for play in plays if len(play.splitlines()) > PLAY_LINES] == []


@pytest.mark.parametrize("name", ROOT_PLAYBOOKS)
def test_root_playbooks_import_one(name: str) -> None:
    (play,) = read(ROOT / f"{name}.yml")
    assert play["ansible.builtin.import_playbook"] == f"playbooks/{name}.yml"
