"""What an image is made from: build arguments, parts of the tree, and the digest of both."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from itertools import takewhile
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING

from .campaign import CanaryMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .campaign import Campaign

DOCKERFILE = PurePosixPath("docker/Dockerfile")
_LABEL = "magma-remote"
_WAY = "3"  # raised when we build or label in another way: images of an older one are not found
DIGEST_LABEL = f"{_LABEL}.digest"
BASES_LABEL = f"{_LABEL}.bases"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to build the image of one (fuzzer, target): arguments as `docker build` gets them.

    `bases` are the images that it starts FROM or copies from, as NAME@ID: what a name means changes with time.
    `campaign_id` is whose run builds it, for people: any campaign with the same digest uses it.
    """

    fuzzer: str
    target: str
    build_args: Mapping[str, str]
    digest: str
    bases: tuple[str, ...] = ()
    campaign_id: str = ""

    @property
    def name(self) -> str:
        """Captain's `magma/FUZZER/TARGET`, in the lower case and with the few signs that Docker allows."""
        return image_name(self.fuzzer, self.target)

    @property
    def tag(self) -> str:
        """The name with the digest's start as its tag: no two recipes share one."""
        return f"{self.name}:{self.digest[:16]}"

    @property
    def labels(self) -> dict[str, str]:
        """What tells this image from a stale one of the same name."""
        return {
            DIGEST_LABEL: self.digest,
            BASES_LABEL: " ".join(self.bases),
            f"{_LABEL}.fuzzer": self.fuzzer,
            f"{_LABEL}.target": self.target,
            f"{_LABEL}.campaign": self.campaign_id,
        }


def image_name(fuzzer: str, target: str) -> str:
    """The name of a pair's images, without a tag."""
    return f"magma/{_component(fuzzer)}/{_component(target)}"


def _component(name: str) -> str:
    return re.sub(r"[^a-z0-9_]+|__+", "-", name.lower()).strip("-_") or "x"


@dataclass(frozen=True, kw_only=True, order=True)
class Entry:
    """A file of a build context: `kind` is `f`, `x` (executable), `l` (link) or `d`, `content` a SHA-256."""

    path: str
    kind: str
    content: str


def build_args(campaign: Campaign, fuzzer: str, target: str, *, uid: int, gid: int) -> Mapping[str, str]:
    """The arguments of captain's build.sh (Magma v1.2)."""
    args = {"fuzzer_name": fuzzer, "target_name": target, "USER_ID": str(uid), "GROUP_ID": str(gid)}
    if campaign.canary_mode is CanaryMode.CANARIES:
        args["canaries"] = "1"
    if campaign.canary_mode is CanaryMode.FIXES:
        args["fixes"] = "1"
    if campaign.isan:
        args["isan"] = "1"
    if campaign.harden:
        args["harden"] = "1"
    return MappingProxyType(args)


def digest(build_args: Mapping[str, str], base_images: Iterable[str], entries: Iterable[Entry]) -> str:
    """SHA-256 (hex) of everything that goes into an image; the order of the inputs does not matter."""
    rows = [("how", _WAY, "")]
    rows += [("arg", key, value) for key, value in sorted(build_args.items())]
    rows += [("base", base, "") for base in sorted(base_images)]
    return _hashed(rows + _rows(entries))


def sources_digest(entries: Iterable[Entry]) -> str:
    """SHA-256 (hex) of files alone, whoever builds from them; neither their order nor how often they come matters."""
    return _hashed(_rows(set(entries)))


def _rows(entries: Iterable[Entry]) -> list[tuple[str, str, str]]:
    return [(entry.kind, entry.path, entry.content) for entry in sorted(entries)]


def _hashed(rows: Iterable[tuple[str, str, str]]) -> str:
    state = hashlib.sha256()
    for part in (part.encode(errors="surrogateescape") for row in rows for part in row):  # names may be no text
        state.update(b"%d:%b" % (len(part), part))
    return state.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What a Dockerfile takes from outside: images it starts FROM and paths it copies from the tree."""

    base_images: tuple[str, ...]
    paths: tuple[str, ...]


def sources(dockerfile: str, build_args: Mapping[str, str]) -> Sources:
    """Read FROM, ARG, ENV, COPY and ADD of a Dockerfile; `.` in the paths means the whole tree.

    docker/ itself is always among the paths: the Dockerfile is part of what an image is made from.
    """
    values: dict[str, str] = {}
    bases: list[str] = []
    stages: set[str] = set()
    paths = {DOCKERFILE.parent.as_posix()}
    for word, rest in _instructions(dockerfile):
        if word == "ARG":
            values.update(_arguments(rest, values, build_args))
        elif word == "ENV":
            values.update(_environment(rest, values))
        elif word == "FROM":
            words = _plain_words(_expand(rest, values))
            if words and words[0].lower() not in stages | {"scratch"}:
                bases.append(words[0])
            stages.update(word.lower() for word in words[2:3])
        elif word in {"COPY", "ADD"}:
            text = _expand(rest, values)
            if other := re.search(r"--from=(\S+)", text):
                bases += [] if other[1].lower() in stages or other[1].isdecimal() else [other[1]]
            else:
                paths.update(_tree_paths(_plain_words(text)[:-1]))
    known = tuple(base for base in bases if "$" not in base)  # the build says what is wrong with the others
    return Sources(base_images=known, paths=(".",) if "." in paths else tuple(sorted(paths)))


def _instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    """Instructions with their line continuations joined; comments and heredocs are no instructions."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    heredocs: list[str] = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if heredocs:
            heredocs = heredocs[line.strip("\t") == heredocs[0] :]
        elif match := re.match(r"\s*([A-Za-z]+)\s+(.*)", line):
            heredocs = re.findall(r"<<-?[\"']?(\w+)", line)
            yield match[1].upper(), match[2].strip()


def _plain_words(text: str) -> list[str]:
    """Words of an instruction without its `--flags`, shell or JSON form alike."""
    text = re.sub(r"^(--\S+\s+)+", "", text)
    try:
        words = json.loads(text) if text.startswith("[") else None
    except (ValueError, RecursionError):
        words = None  # a pattern such as `[ab]*`
    return list(map(str, words)) if isinstance(words, list) else [word.strip("\"'") for word in text.split()]


def _arguments(rest: str, values: Mapping[str, str], build_args: Mapping[str, str]) -> dict[str, str]:
    """ARG: without a default it keeps what the name stood for before FROM."""
    pairs = re.findall(r"(\w+)(=?)(\"[^\"]*\"|'[^']*'|\S*)", rest)
    defaults = {
        name: _expand(text.strip("\"'"), values) if given else values.get(name, "") for name, given, text in pairs
    }
    return {name: build_args.get(name, default) for name, default in defaults.items()}


def _environment(rest: str, values: Mapping[str, str]) -> dict[str, str]:
    pairs = re.findall(r"(\w+)=(\"[^\"]*\"|'[^']*'|\S*)", rest) if re.match(r"\w+=", rest) else []
    if not pairs:
        name, _, value = rest.partition(" ")
        pairs = [(name, value.strip())]
    return {name: _expand(value.strip("\"'"), values) for name, value in pairs}


def _expand(text: str, values: Mapping[str, str]) -> str:
    """Replace `$x`, `${x}`, `${x:-default}` and `${x:+other}` as Docker does; an unknown `$x` stays as it is."""

    def value(match: re.Match[str]) -> str:
        name = match["name"] or match["bare"]
        if name not in values and not match["op"]:
            return match[0]
        known = values.get(name, "")
        if match["op"] == ":-":
            return known or match["word"]
        return (match["word"] if known else "") if match["op"] == ":+" else known

    return re.sub(r"\$(?:\{(?P<name>\w+)(?:(?P<op>:[-+])(?P<word>[^}]*))?\}|(?P<bare>\w+))", value, text)


def _tree_paths(words: Iterable[str]) -> Iterator[str]:
    """Folders and files behind the sources of a COPY: a pattern stands for the folder above it."""
    for word in words:
        if re.match(r"[a-z]+://|git@|<<", word):
            continue
        parts = PurePosixPath(word.lstrip("/")).parts
        plain = tuple(takewhile(lambda part: not re.search(r"[*?\[]", part), parts))
        yield "." if ".." in parts or "$" in word else PurePosixPath(*plain).as_posix()
