"""What a captainrc means, in a campaign file's terms: each setting with what captain makes of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .bash_file import Setting
    from .tree import MagmaTree

Value: TypeAlias = str | int | bool | tuple[str, ...] | tuple[int, ...]

FLAGS = ("CACHE_ON_DISK", "NO_ARCHIVE", "ISAN", "HARDEN", "POC_EXTRACT")
NUMBERS = ("REPEAT", "WORKERS", "CAMPAIGN_WORKERS", "POLL", "WORKER_MODE", "CANARY_MODE")
TEXTS = ("TIMEOUT", "TMPFS_SIZE", "MAGMA")
# suffix of captain's composed names → key of the campaign file
COMPOSED = {
    "TARGETS": "OVERRIDDEN_TARGETS",
    "PROGRAMS": "PROGRAMS",
    "FUZZARGS": "FUZZARGS",
    "CAMPAIGN_WORKERS": "FUZZER_CAMPAIGN_WORKERS",
}
_SUFFIX = re.compile(r"(.+)_(TARGETS|PROGRAMS|FUZZARGS|CAMPAIGN_WORKERS|ARGS)")
_IGNORED = "captain does not use it"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One member for the campaign file: `key`, and `member` where the key holds an object."""

    key: str
    value: Value
    member: str = ""


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What one setting becomes; without entries it stays as a comment. `warning` is empty or a sentence."""

    entries: tuple[Entry, ...] = ()
    warning: str = ""


@dataclass(frozen=True, kw_only=True)
class Names:
    """The names that captain would compose variables of, and which settings have a value.

    `targets` maps a fuzzer to what it runs on; it is None where no tree says which targets there are.
    """

    fuzzers: tuple[str, ...]
    known_targets: tuple[str, ...] | None
    overridden: dict[str, tuple[str, ...]] = field(default_factory=dict)
    given: frozenset[str] = frozenset()

    def runs(self, fuzzer: str, target: str) -> bool:
        """Whether captain would run this pair, as far as it is known."""
        if fuzzer in self.overridden:
            return target in self.overridden[fuzzer]
        return self.known_targets is None or target in self.known_targets


def names_of(settings: Iterable[Setting], tree: MagmaTree | None) -> Names:
    """Fuzzers, overridden targets and given variables of the settings that stand in the end."""
    by_name = {s.name: s for s in settings if not s.unknown and words(s)}
    fuzzers = words(by_name["FUZZERS"]) if "FUZZERS" in by_name else ()
    overridden = {f: words(by_name[f"{f}_TARGETS"]) for f in fuzzers if f"{f}_TARGETS" in by_name}
    return Names(
        fuzzers=fuzzers,
        known_targets=tuple(tree.targets) if tree else None,
        overridden=overridden,
        given=frozenset(by_name),
    )


def words(setting: Setting) -> tuple[str, ...]:
    """A list as captain takes it: elements joined and split at blanks."""
    return tuple(" ".join(setting.values).split())


def meaning(setting: Setting, names: Names) -> Meaning:
    """Translate one setting."""
    name = setting.name
    if setting.unknown:
        return Meaning(warning=f"{name} cannot be known without running Bash ({setting.unknown})")
    if name == "WORKDIR":
        return Meaning(warning=f"{name} is not part of a campaign file: give --workdir {setting.values[0]}")
    if name in FLAGS:
        return _flag(setting)
    if not " ".join(setting.values).strip():
        return Meaning(warning=f"{name} is empty, which captain takes as not set")
    return _plain(setting, names) or _composed(setting, names)


def _plain(setting: Setting, names: Names) -> Meaning | None:
    """A name that captain and the campaign file share."""
    name = setting.name
    if name in NUMBERS:
        return _number(setting, names)
    if name in TEXTS:
        return _text(setting)
    if name == "WORKER_POOL":
        return _pool(setting)
    return Meaning(entries=(Entry(key=name, value=words(setting)),)) if name == "FUZZERS" else None


def _flag(setting: Setting) -> Meaning:
    """Captain asks only whether the variable is empty."""
    text = setting.values[0] if setting.values else ""
    warning = ""
    if text.casefold() in {"0", "false", "no", "off"}:
        warning = f"{setting.name}={text} switches it on: captain asks only whether it is set"
    return Meaning(entries=(Entry(key=setting.name, value=bool(text)),), warning=warning)


def _number(setting: Setting, names: Names) -> Meaning:
    name, text = setting.name, setting.values[0]
    if name == "WORKERS" and "WORKER_POOL" in names.given:
        return Meaning(warning=f"{name} is left out: {_IGNORED} where WORKER_POOL is set")
    if name == "CAMPAIGN_WORKERS" and "DEFAULT_CAMPAIGN_WORKERS" in names.given:
        return Meaning(warning=f"{name} is left out: {_IGNORED} beside DEFAULT_CAMPAIGN_WORKERS")
    entries = (Entry(key=name, value=_integer(text)),)
    if name == "WORKERS" and "WORKER_MODE" in names.given:
        return Meaning(
            entries=entries,
            warning="WORKERS counts logical CPUs here; captain counts cores or sockets where WORKER_MODE is 2 or 3",
        )
    return Meaning(entries=entries)


def _text(setting: Setting) -> Meaning:
    text = setting.values[0]
    warning = ""
    if setting.name == "MAGMA" and not text.startswith("/"):
        warning = f"MAGMA={text} is now looked up from the campaign file's folder"
    return Meaning(entries=(Entry(key=setting.name, value=text),), warning=warning)


def _integer(text: str) -> int | str:
    """A number, or the text itself, which the campaign file's reader will refuse with its line."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text, re.ASCII) else text


def _pool(setting: Setting) -> Meaning:
    numbers = [_integer(word) for word in words(setting)]
    if not all(isinstance(number, int) for number in numbers):
        return Meaning(warning="WORKER_POOL is no list of CPU numbers")
    return Meaning(entries=(Entry(key="WORKER_POOL", value=tuple(n for n in numbers if isinstance(n, int))),))


def _composed(setting: Setting, names: Names) -> Meaning:
    """A name such as `fuzzer_target_PROGRAMS`, resolved by FUZZERS as captain composes it."""
    match = _SUFFIX.fullmatch(setting.name)
    if setting.name in {"TARGETS", "PROGRAMS"}:
        return Meaning(warning=f"{setting.name} is left out: {_IGNORED}, {_instead(setting.name)}")
    if match is None:
        return Meaning(warning=f"{setting.name} is not known to captain or to a campaign file")
    stem, suffix = match[1], match[2]
    if suffix == "ARGS":
        return Meaning(warning=f"{setting.name}: arguments of programs belong into the target's configrc")
    if suffix in {"TARGETS", "CAMPAIGN_WORKERS"}:
        return _per_fuzzer(setting, stem, suffix, names)
    return _per_pair(setting, stem, suffix, names)


def _instead(name: str) -> str:
    return "but fuzzer_TARGETS" if name == "TARGETS" else "but fuzzer_target_PROGRAMS"


def _value(setting: Setting, suffix: str) -> Value:
    if suffix == "FUZZARGS":
        return " ".join(setting.values)
    return _integer(setting.values[0]) if suffix == "CAMPAIGN_WORKERS" else words(setting)


def _per_fuzzer(setting: Setting, stem: str, suffix: str, names: Names) -> Meaning:
    value, key = _value(setting, suffix), COMPOSED[suffix]
    if stem == "DEFAULT" and suffix == "CAMPAIGN_WORKERS":
        return Meaning(entries=(Entry(key="CAMPAIGN_WORKERS", value=value),))
    if stem not in names.fuzzers:
        return Meaning(warning=f"{setting.name} is left out: {stem} is not in FUZZERS")
    return Meaning(entries=(Entry(key=key, member=stem, value=value),))


def _per_pair(setting: Setting, stem: str, suffix: str, names: Names) -> Meaning:
    """`fuzzer_target`, else for FUZZARGS captain's fall-backs `DEFAULT_target` and `target`."""
    value, key = _value(setting, suffix), COMPOSED[suffix]
    pairs = _pairs(stem, names)
    if pairs:
        return Meaning(entries=tuple(Entry(key=key, member=f"{f},{t}", value=value) for f, t in pairs))
    target = stem.removeprefix("DEFAULT_")
    users = [f for f in names.fuzzers if names.runs(f, target)]
    if suffix == "PROGRAMS" or not users or not _is_target(target, names):
        return Meaning(warning=f"{setting.name} is left out: it names no fuzzer of FUZZERS with a target that it runs")
    own = [f for f in users if f"{f}_{target}_{suffix}" not in names.given]
    if stem == target and f"DEFAULT_{target}_{suffix}" in names.given:
        return Meaning(warning=f"{setting.name} is left out: {_IGNORED} beside DEFAULT_{setting.name}")
    return Meaning(entries=tuple(Entry(key=key, member=f"{f},{target}", value=value) for f in own))


def _is_target(name: str, names: Names) -> bool:
    """Whether a bare name can be a target: the tree or an override says so, or nothing says otherwise."""
    if names.known_targets is not None:
        return name in names.known_targets
    listed = any(name in targets for targets in names.overridden.values())
    return listed or ("_" not in name and name not in names.fuzzers)


def _pairs(stem: str, names: Names) -> list[tuple[str, str]]:
    """Every split of `fuzzer_target` that captain would compose; without a tree the longest fuzzer alone."""
    splits = [(f, stem[len(f) + 1 :]) for f in names.fuzzers if stem.startswith(f"{f}_")]
    pairs = [(f, t) for f, t in splits if t and names.runs(f, t)]
    if names.known_targets is None:
        sure = [(f, t) for f, t in pairs if f in names.overridden]
        return sure or sorted(pairs, key=lambda pair: -len(pair[0]))[:1]
    return pairs
