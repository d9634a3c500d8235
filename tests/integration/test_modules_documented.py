"""What our Ansible modules document, held against what they take."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import ansible.module_utils
import pytest
from ansible.parsing.dataloader import DataLoader

from tests.support.ansible_calls import environment, program
from tests.support.places import ROOT

if TYPE_CHECKING:
    from pathlib import Path

MODULES = sorted(path.stem for path in (ROOT / "library").glob("*.py"))


@pytest.fixture(scope="module")
def documented() -> dict[str, Any]:
    """What `ansible-doc` says of all modules."""
    argv = [program("ansible-doc"), "--json", "-t", "module", *MODULES]
    done = subprocess.run(argv, env=environment(), capture_output=True, text=True, timeout=120, check=True)
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("name", MODULES)
def test_documentation(documented: dict[str, Any], name: str) -> None:
    said = documented[name]
    assert said["doc"]["module"] == name
    assert {"check_mode", "diff_mode", "idempotent"} <= said["doc"]["attributes"].keys()
    assert said["return"]
    tasks = DataLoader().load(said["examples"])
    assert any(name in task for task in tasks)


@pytest.mark.parametrize("name", MODULES)
def test_options_are_as_documented(documented: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ROOT / ("plugins/action" if name == "magma_wait" else "library")
    given = arguments(folder / f"{name}.py", monkeypatch)
    assert options(given, "options") == options(documented[name]["doc"]["options"], "suboptions")


def options(given: dict[str, Any], below: str) -> dict[str, Any]:
    """What both an argument spec and a documentation say of options; what is false or null is as left out."""
    found = {}
    for name, option in given.items():
        kept = {key: option[key] for key in ("type", "elements", "choices", "default", "required") if option.get(key)}
        found[name] = kept | {"options": options(option.get(below, {}), below)}
    return found


def arguments(file: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The constant ARGUMENTS of a module, imported as Ansible's own folders would let it be."""
    places = [*ansible.module_utils.__path__, str(ROOT), str(ROOT / "plugins" / "module_utils")]
    monkeypatch.setattr(ansible.module_utils, "__path__", places)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec
    assert spec.loader
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, file.stem, loaded)
    spec.loader.exec_module(loaded)
    return dict(loaded.ARGUMENTS)
