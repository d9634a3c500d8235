"""What the toolkit needs to know of a Magma tree: names, programs and where they were read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Target:
    """One folder of `targets/`.

    `programs` maps a program to its arguments, in the order of the file; `file` is where they were read.
    Where they could not be read, `programs` is empty and `problem` says why, place included.
    """

    name: str
    file: str
    programs: Mapping[str, str]
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class MagmaTree:
    """The fuzzers and targets that a tree offers, each sorted by name."""

    fuzzers: tuple[str, ...]
    targets: Mapping[str, Target]

    def programs(self, target: str) -> Mapping[str, str]:
        """Program → arguments of a target; KeyError for an unknown target."""
        return self.targets[target].programs
