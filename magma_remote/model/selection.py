"""Which fuzzers, targets, programs and arguments a campaign takes, checked against the tree."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from .document import show
from .fields import shown_key
from .findings import did_you_mean, listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .document import Node
    from .fields import Fields, Name
    from .findings import Findings
    from .tree import MagmaTree

Names = tuple[str, ...]
_TARGETS_OF = "a list of target names"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The part of a `Campaign` that names things; the fields are its fields."""

    fuzzers: Names
    targets: Names
    overridden_targets: Mapping[str, Names]
    programs: Mapping[str, Names]
    fuzzargs: Mapping[str, str]


class Selector:
    """Names as the file gives them, each with its line (None: by default).

    `fuzzers` and `targets` are None where the file gives none that can be used: what depends on them is
    then not checked, so that one mistake is reported once.
    """

    def __init__(self, fields: Fields, findings: Findings, tree: MagmaTree | None) -> None:
        self._fields = fields
        self._findings = findings
        self._tree = tree
        self.fuzzers = self._read_fuzzers()
        self.targets = self._read_targets()
        self.overridden = self._read_overridden()

    def _read_fuzzers(self) -> dict[str, int | None] | None:
        allowed = 'a list of fuzzer names, such as ["afl", "honggfuzz"]'
        self._fields.require("FUZZERS", allowed)
        node = self._fields.node("FUZZERS")
        names = None if node is None else self._fields.names("FUZZERS", node, allowed)
        if names is None:
            return None
        for name in names:
            if self._tree and name.text not in self._tree.fuzzers:
                self._fields.unknown("FUZZERS", name, "fuzzer", self._tree.fuzzers)
        return {name.text: name.line for name in names}

    def _read_targets(self) -> dict[str, int | None] | None:
        node = self._fields.node("TARGETS")
        if node is None:
            return dict.fromkeys(self._tree.targets) if self._tree else None
        names = self._fields.names("TARGETS", node, f"{_TARGETS_OF}, or no such key for all of them")
        return self._known_targets("TARGETS", names)

    def _known_targets(self, key: str, names: tuple[Name, ...] | None) -> dict[str, int | None] | None:
        for name in names or ():
            if self._tree and name.text not in self._tree.targets:
                self._fields.unknown(key, name, "target", tuple(self._tree.targets))
        return None if names is None else {name.text: name.line for name in names}

    def _read_overridden(self) -> dict[str, dict[str, int | None] | None]:
        key = "OVERRIDDEN_TARGETS"
        overridden: dict[str, dict[str, int | None] | None] = {}
        for fuzzer, node in self._fields.table(key, "an object: fuzzer -> list of targets").items():
            if self.has_fuzzer(key, fuzzer, node):
                where = f"{key} {shown_key(fuzzer)}"
                names = self._fields.names(where, node, _TARGETS_OF)
                overridden[fuzzer] = self._known_targets(where, names)
        return overridden

    def has_fuzzer(self, key: str, fuzzer: str, node: Node, written: str = "") -> bool:
        """Whether FUZZERS has it; a setting for another one would do nothing, so it is noted."""
        if self.fuzzers is None or fuzzer in self.fuzzers:
            return self.fuzzers is not None
        self._findings.add(
            f"{key} {shown_key(written or fuzzer)}",
            node.line,
            f"{show(fuzzer)} is not in FUZZERS",
            listed(self.fuzzers),
            did_you_mean(fuzzer, self.fuzzers),
        )
        return False

    def targets_of(self, fuzzer: str) -> dict[str, int | None] | None:
        """What this fuzzer runs on, or None where that is not known."""
        return self.overridden.get(fuzzer, self.targets)

    def _pair(self, key: str, written: str, node: Node) -> bool:
        """Whether `"fuzzer,target"` or `"fuzzer"` names something that this campaign runs."""
        fuzzer, comma, target = written.partition(",")
        if not self.has_fuzzer(key, fuzzer, node, written):
            return False
        targets = self.targets_of(fuzzer)
        if not comma or targets is None or target in targets:
            return True
        self._findings.add(
            f"{key} {shown_key(written)}",
            node.line,
            f"{shown_key(fuzzer)} does not run on {show(target)}",
            listed(targets),
            did_you_mean(target, targets),
        )
        return False

    def selection(self) -> Selection:
        """Everything, checked; what is wrong is in the findings."""
        selection = Selection(
            fuzzers=tuple(self.fuzzers or ()),
            targets=tuple(self.targets or ()),
            overridden_targets=MappingProxyType({f: tuple(t or ()) for f, t in self.overridden.items()}),
            programs=MappingProxyType(self._programs()),
            fuzzargs=MappingProxyType(self._fuzzargs()),
        )
        self._check_used()
        return selection

    def _programs(self) -> dict[str, Names]:
        """PROGRAMS with every program known to the target, or to one of the fuzzer's targets."""
        key, chosen = "PROGRAMS", {}
        members = self._fields.table(key, 'an object: "fuzzer,target" or "fuzzer" -> list of programs')
        for written, node in members.items():
            if not self._pair(key, written, node):
                continue
            where = f"{key} {shown_key(written)}"
            names = self._fields.names(where, node, "a list of program names")
            if names is None:
                continue
            chosen[written] = tuple(name.text for name in names)
            self._check_programs(where, written, names, set(members))
        return chosen

    def _check_programs(self, where: str, written: str, names: tuple[Name, ...], keys: set[str]) -> None:
        fuzzer, comma, target = written.partition(",")
        targets = [target] if comma else list(self.targets_of(fuzzer) or ())
        offered = {t: self._offered(t) for t in targets}
        if None in offered.values():
            return
        known = tuple(dict.fromkeys(program for programs in offered.values() for program in programs or ()))
        for name in names:
            if name.text not in known:
                self._fields.unknown(where, name, "program", known)
        given = {name.text for name in names}
        if given <= set(known) and not comma:
            self._check_spared(where, fuzzer, offered, given, keys)

    def _check_spared(
        self, where: str, fuzzer: str, offered: Mapping[str, Names | None], given: set[str], keys: set[str]
    ) -> None:
        """A target that has none of the programs would silently not be fuzzed."""
        line = self._fields.member_line("PROGRAMS", fuzzer)
        for target, programs in offered.items():
            if f"{fuzzer},{target}" not in keys and not given & set(programs or ()):
                self._findings.add(
                    where,
                    line,
                    f"leaves no program for {fuzzer} on {target}",
                    f"at least one of {listed(programs or ())}",
                    f'or give "{fuzzer},{target}" its own list',
                )

    def _offered(self, target: str) -> Names | None:
        """A target's programs; None where they are not known (`_check_used` says so)."""
        if self._tree is None or target not in self._tree.targets:
            return None
        return tuple(self._tree.programs(target)) or None

    def _fuzzargs(self) -> dict[str, str]:
        """FUZZARGS, each one line of text."""
        key, chosen = "FUZZARGS", {}
        for written, node in self._fields.table(key, 'an object: "fuzzer,target" or "fuzzer" -> text').items():
            text = self._fields.text(f"{key} {shown_key(written)}", node)
            if self._pair(key, written, node) and text is not None:
                chosen[written] = text
        return chosen

    def _check_used(self) -> None:
        """Each target that is used has programs, or the message names the file that should list them."""
        used: dict[str, int | None] = {}
        for fuzzer in self.fuzzers or ():
            for name, line in (self.targets_of(fuzzer) or {}).items():
                used.setdefault(name, line)
        for name, line in used.items():
            target = self._tree.targets.get(name) if self._tree else None
            if target and not target.programs:
                found = f"target {name} cannot be used: {target.problem or f'{target.file} lists no program'}"
                self._findings.add("TARGETS", line, found, "", "correct that file, or leave the target out")
