"""Lists what a Magma tree on disk offers."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from magma_remote.errors import ConfigError, UsageError
from magma_remote.model.configrc import programs_of, read_configrc
from magma_remote.model.names import is_plain_name
from magma_remote.model.tree import MagmaTree, Target

from .hjson_file import read_hjson
from .text_file import read_text

if TYPE_CHECKING:
    from pathlib import Path

PARTS = ("docker/Dockerfile", "magma", "fuzzers", "targets")


def read_tree(root: Path) -> MagmaTree:
    """The tree at `root`; UsageError says what is missing where it is no Magma tree.

    A target whose programs cannot be read is listed with its problem: only its use is an error.
    """
    try:
        missing = [part for part in PARTS if not (root / part).exists()]
        if missing:
            raise UsageError(f"{root} is no Magma tree: it has no {', no '.join(missing)}")
        targets = {name: _target(root / "targets" / name) for name in _folders(root / "targets")}
        return MagmaTree(fuzzers=tuple(_folders(root / "fuzzers")), targets=MappingProxyType(targets))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise UsageError(f"{root} cannot be read as a Magma tree: {error}") from error


def _folders(place: Path) -> list[str]:
    return sorted(entry.name for entry in place.iterdir() if is_plain_name(entry.name) and entry.is_dir())


def _target(folder: Path) -> Target:
    hjson, bash = folder / "configrc.hjson", folder / "configrc"
    file = hjson if hjson.exists() else bash
    try:
        programs = programs_of(read_hjson(file)) if file == hjson else read_configrc(read_text(file))
    except ConfigError as error:
        placed = ConfigError(error.problems, source=str(file))
        reason = str(placed).replace("\n", "; ")
        return Target(name=folder.name, file=str(file), programs=MappingProxyType({}), problem=reason)
    return Target(name=folder.name, file=str(file), programs=MappingProxyType(programs))
