"""Who may import whom: the rule of docs/architecture.md, held on every import of the package."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "magma_remote"
ROOT = Path(__file__).resolve().parents[2] / PACKAGE

_CORE = {"ports", "model", "errors"}
# layer → the layers that it may import, beside itself; None: all of them
ALLOWED: dict[str, set[str] | None] = {
    "__init__": set(),
    "errors": set(),
    "model": {"errors"},
    "ports": {"model", "errors"},
    "adapters": _CORE,
    "runtime": _CORE,
    "report": _CORE,
    "cli": None,
    "__main__": None,
}
# part of the runtime → the parts that it may import, beside itself; its other modules help all parts and need none
RUNTIME = f"{PACKAGE}.runtime"
PARTS: dict[str, set[str]] = {
    "images": set(),
    "workdir": set(),
    "worker": set(),
    "trial": {"images"},
    "verifying": {"workdir"},
    "station": {"images", "trial", "workdir"},
    "extracting": {"images", "trial", "workdir"},
    "dispatcher": {"images", "workdir"},
    "collecting": {"dispatcher", "workdir"},
    "pool": {"images", "trial"},
    "quickrun": {"images", "pool", "trial", "workdir"},
}
# These are shipped alone, to hosts that have nothing installed.
STANDARD_LIBRARY_ONLY = {"__init__", "errors", "model", "ports"}
RELATIVE_ONLY = {"errors", "model"}


@dataclass(frozen=True, kw_only=True)
class Import:
    """One imported module: its absolute dotted name, and how many dots it was written with."""

    name: str
    dots: int


def imports(source: str, module: str, *, is_package: bool) -> Iterator[Import]:
    """Every import in `source`, the late ones and those for types only too.

    `from PACKAGE import x` counts as `PACKAGE.x`, since that is how a layer is imported by its name; a part likewise.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (Import(name=alias.name, dots=0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, module, is_package=is_package)
            names = [f"{base}.{alias.name}" for alias in node.names] if base in {PACKAGE, RUNTIME} else [base]
            yield from (Import(name=name, dots=node.level) for name in names)


def _absolute(node: ast.ImportFrom, module: str, *, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    kept = parts[: len(parts) - node.level + is_package]
    return ".".join([*kept, *([node.module] if node.module else [])])


def violations(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """What in `source` breaks the rule, as `module imports name: why`."""
    layer = module.split(".")[1] if "." in module else "__init__"
    if layer not in ALLOWED:
        return [f"{module}: no rule for the layer {layer}; give it one in ALLOWED and in docs/architecture.md"]
    every = imports(source, module, is_package=is_package)
    found = ((item, _reason(layer, item) or _reason_of_part(module, item)) for item in every)
    return [f"{module} imports {item.name}: {why}" for item, why in found if why]


def _reason(layer: str, item: Import) -> str:
    top, _, rest = item.name.partition(".")
    if top != PACKAGE:
        foreign = top not in sys.stdlib_module_names
        return f"{layer} is standard library only" if foreign and layer in STANDARD_LIBRARY_ONLY else ""
    if layer in RELATIVE_ONLY and not item.dots:
        return f"{layer} imports our own modules relatively"
    target, allowed = rest.partition(".")[0], ALLOWED[layer]
    if allowed is None or target in {layer, "__version__", *allowed}:
        return ""
    return f"{layer} may import {', '.join(sorted(allowed)) or 'nothing of ours'}"


def _reason_of_part(module: str, item: Import) -> str:
    if not (module.startswith(f"{RUNTIME}.") and item.name.startswith(f"{RUNTIME}.")):
        return ""
    part, target = module.split(".")[2], item.name.split(".")[2]
    allowed = PARTS.get(part, set())
    if target not in PARTS or target in {part, *allowed}:
        return ""
    return f"{part} may import {', '.join(sorted(allowed)) or 'no part of the runtime'}"


def modules() -> list[tuple[Path, str]]:
    """All files of the package with their dotted names."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found.append((path, ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)))
    return found


@pytest.mark.parametrize(("path", "module"), modules(), ids=lambda value: value if isinstance(value, str) else "")
def test_imports_follow_the_rule(path: Path, module: str) -> None:
    is_package = path.name == "__init__.py"
    assert violations(path.read_text(encoding="utf-8"), module, is_package=is_package) == []


def test_the_package_is_found() -> None:
    assert {"magma_remote", "magma_remote.errors", "magma_remote.model"} <= {module for _, module in modules()}


def test_every_package_of_the_runtime_has_a_rule_and_none_imports_another_in_a_circle() -> None:
    assert {path.parent.name for path in ROOT.glob("runtime/*/__init__.py")} <= set(PARTS)
    TopologicalSorter(PARTS).prepare()


@pytest.mark.parametrize(
    ("module", "source"),
    [
        pytest.param("magma_remote.model.jobs", "import json\nfrom ..errors import UsageError", id="model-errors"),
        pytest.param("magma_remote.model.jobs", "from .units import Size\nfrom . import units", id="model-model"),
        pytest.param("magma_remote.adapters.engine", "import docker\nfrom ..ports import Runner", id="adapters-ports"),
        pytest.param("magma_remote.adapters.engine", "from magma_remote.model.jobs import Job", id="adapters-model"),
        pytest.param("magma_remote.runtime.slots", "from magma_remote.ports import Clock", id="runtime-ports"),
        pytest.param("magma_remote.runtime.trial.trial", "from magma_remote.runtime import files", id="trial-helper"),
        pytest.param(
            "magma_remote.runtime.trial.trial",
            "from magma_remote.runtime.images.images import Image",
            id="trial-images",
        ),
        pytest.param("magma_remote.cli.commands.logs", "from magma_remote.adapters import engine", id="cli-adapters"),
        pytest.param("magma_remote.cli.main", "from magma_remote import __version__", id="cli-version"),
        pytest.param("magma_remote.errors", "from dataclasses import dataclass", id="errors-stdlib"),
    ],
)
def test_a_good_import_passes(module: str, source: str) -> None:
    assert violations(source, module) == []


@pytest.mark.parametrize(
    ("module", "source", "told"),
    [
        pytest.param("magma_remote.model.jobs", "import hjson", "standard library only", id="model-third-party"),
        pytest.param("magma_remote.model.jobs", "import docker.errors", "standard library only", id="model-dotted"),
        pytest.param(
            "magma_remote.model.jobs",
            "from magma_remote.errors import UsageError",
            "relatively",
            id="model-absolute",
        ),
        pytest.param("magma_remote.model.jobs", "from ..runtime import slots", "may import errors", id="model-runtime"),
        pytest.param("magma_remote.model.jobs", "from .. import adapters", "may import errors", id="model-by-name"),
        pytest.param("magma_remote.errors", "from .model import jobs", "nothing of ours", id="errors-model"),
        pytest.param("magma_remote.ports", "from .adapters.engine import Engine", "may import", id="ports-adapters"),
        pytest.param("magma_remote.ports", "import docker", "standard library only", id="ports-third-party"),
        pytest.param("magma_remote.adapters.engine", "from ..runtime import slots", "may", id="adapters-runtime"),
        pytest.param("magma_remote.adapters.engine", "import magma_remote.cli.main", "may", id="adapters-cli"),
        pytest.param("magma_remote.runtime.slots", "from magma_remote import adapters", "may", id="runtime-by-name"),
        pytest.param(
            "magma_remote.runtime.slots",
            "def late():\n    from magma_remote.adapters.engine import Engine",
            "may import",
            id="runtime-late",
        ),
        pytest.param(
            "magma_remote.runtime.slots",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..adapters.engine import Engine",
            "may import",
            id="runtime-types-only",
        ),
        pytest.param(
            "magma_remote.runtime.trial.trial",
            "from magma_remote.runtime import pool",
            "trial may import images",
            id="trial-pool",
        ),
        pytest.param(
            "magma_remote.runtime.files",
            "from magma_remote.runtime.trial.cache import Cache",
            "no part of the runtime",
            id="helper-trial",
        ),
        pytest.param("magma_remote.report.table", "from ..runtime import slots", "may import", id="report-runtime"),
        pytest.param("magma_remote", "from .cli.main import main", "nothing of ours", id="init-cli"),
        pytest.param("magma_remote.helpers", "import os", "no rule for the layer", id="unknown-layer"),
    ],
)
def test_a_bad_import_is_found(module: str, source: str, told: str) -> None:
    found = violations(source, module, is_package=module == PACKAGE)
    assert len(found) == 1
    assert told in found[0]


def test_a_package_counts_its_own_dots() -> None:
    assert violations("from ..errors import UsageError", "magma_remote.model", is_package=True) == []
    assert violations("from ..cli import main", "magma_remote.model", is_package=True) != []


SHIPPED = "ansible.module_utils.magma_remote."
MODULES = sorted(path for folder in ("library", "plugins") for path in (ROOT.parent / folder).rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=[str(path.relative_to(ROOT.parent)) for path in MODULES])
def test_modules_take_along_nothing_but_the_model(path: Path) -> None:
    found = {each.name for each in imports(path.read_text(), path.stem, is_package=False)}
    assert not {name for name in found if name.split(".")[0] == PACKAGE}, "Ansible ships it under another name"
    layers = {name.removeprefix(SHIPPED).split(".")[0] for name in found if name.startswith(SHIPPED)}
    assert layers <= {"errors", "model"}
