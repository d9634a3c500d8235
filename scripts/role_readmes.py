"""`python -m scripts.role_readmes`: writes each role's README.md from its meta/argument_specs.yml."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).resolve().parents[1] / "roles"


def prose(text: str) -> str:
    """Ansible's C(code) as Markdown's."""
    return re.sub(r"[CV]\(([^()]*)\)", r"`\1`", text)


def sentences(description: str | list[str]) -> list[str]:
    """A description, which may be one text or a list of them."""
    return [prose(text) for text in ([description] if isinstance(description, str) else description)]


def row(name: str, option: dict[str, Any]) -> str:
    """One line of the table of variables."""
    kind = f"list of {option['elements']}" if option["type"] == "list" else option["type"]
    if "choices" in option:
        kind = " or ".join(f"`{choice}`" for choice in option["choices"])
    default = "required" if option.get("required") else f"`{json.dumps(option['default'])}`"
    told = " ".join(sentences(option["description"]))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in (f"`{name}`", kind, default, told)) + " |"


def table(options: dict[str, Any]) -> list[str]:
    """The variables of one way into the role."""
    if not options:
        return []
    return [
        "",
        "| variable | type | default | |",
        "|---|---|---|---|",
        *(row(name, option) for name, option in options.items()),
    ]


def readme(role: str, specs: dict[str, Any]) -> str:
    """The whole README.md of a role."""
    lines = [f"# {role}", "", "<!-- Written by scripts/role_readmes.py from meta/argument_specs.yml. -->"]
    for entry, spec in specs.items():
        title = [] if entry == "main" else ["", f"## tasks_from: {entry}"]
        lines += [*title, "", prose(spec["short_description"]).rstrip(".") + "."]
        lines += [line for text in sentences(spec.get("description", [])) for line in ("", text)]
        lines += table(spec.get("options", {}))
    return "\n".join(lines) + "\n"


def wanted(role: Path) -> str:
    """What `role`'s README.md is to say."""
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    return readme(role.name, specs)


def main() -> None:
    """Write them all."""
    for spec in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        role = spec.parents[1]
        (role / "README.md").write_text(wanted(role), encoding="utf-8")


if __name__ == "__main__":
    main()
