"""`WORKDIR/origin.json`: which Magma tree a campaign ran with from when on, since nobody can tell that at its end.

It is written as the first trial is about to run, and again for each extension.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

from magma_remote import __version__
from magma_remote.model.told import VERSION
from magma_remote.runtime.files import write_json
from magma_remote.runtime.workdir.asked import PROVENANCE
from magma_remote.runtime.workdir.provenance_trial import read_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from magma_remote.model.entries import CampaignEntry
    from magma_remote.model.layout import Workdir

ORIGIN = "origin.json"
_OF_MAGMA = ("commit", "dirty", "changes")
UNKNOWN: Mapping[str, Any] = dict.fromkeys(_OF_MAGMA)
"""Of a tree that nobody looked at."""


def versions() -> dict[str, str | None]:
    """Of this program and its Python."""
    return {"magma_remote": __version__, "python": platform.python_version()}


def read_origin(workdir: Workdir) -> dict[str, Any]:
    """What origin.json says; where it is gone or damaged, what manifest.json took over from it. Empty without both."""
    found = read_object(workdir.root / ORIGIN)
    if mapping(found, "magma"):
        return found
    told = read_object(workdir.root / PROVENANCE)
    magma = mapping(told, "magma")
    if not magma:
        return found
    known = {"version": VERSION, "magma": {key: magma.get(key) for key in _OF_MAGMA}, "later": entries(magma, "later")}
    since = mapping(told, "campaign").get("since")
    return {**known, "versions": mapping(told, "versions"), "at": since, **found}


def is_noted(workdir: Workdir) -> bool:
    """Whether origin.json itself says something of a tree."""
    return bool(mapping(read_object(workdir.root / ORIGIN), "magma"))


def note_origin(workdir: Workdir, magma: Mapping[str, Any]) -> None:
    """Keep what is known of the Magma tree as the campaign begins; what was noted first stays."""
    path = workdir.root / ORIGIN
    if not path.exists():
        first = {"version": VERSION, "magma": dict(magma), "versions": versions()}
        write_json(path, read_origin(workdir) or first)


def note_later(workdir: Workdir, campaign: CampaignEntry, tree: str, magma: Mapping[str, Any]) -> bool:
    """Keep what is known of the trees that a campaign was extended with; whether that was not noted yet.

    `magma` is of the tree whose digest is `tree`. That of an extension whose process was killed can still be told
    where it is the same.
    """
    origin = read_origin(workdir)
    later = entries(origin, "later")
    known = {entry.get("at") for entry in later if isinstance(entry, dict)}
    trees = [*(edition.tree for edition in campaign.editions), campaign.tree][1:]
    new = [
        {"at": edition.until, "magma": dict(magma if used == tree else UNKNOWN), "versions": versions()}
        for edition, used in zip(campaign.editions, trees, strict=True)
        if edition.until not in known
    ]
    if new:
        write_json(workdir.root / ORIGIN, {"version": VERSION, **origin, "later": [*later, *new]})
    return bool(new)


def note_edition(workdir: Workdir, edition: Mapping[str, Any], magma: Mapping[str, Any], at: float) -> None:
    """For a quickrun, which has no ledger: keep which file and tree its trials run with from `at` (epoch seconds) on.

    `edition` has the `source` of the file, the `sha256` of its text, the digest of the `tree` and the number of `jobs`.
    """
    origin = read_origin(workdir)
    editions = entries(origin, "editions") or _told(read_object(workdir.root / PROVENANCE))
    if not origin:
        origin = {"version": VERSION, "magma": dict(magma), "versions": versions(), "at": at}
    elif editions and _key(editions[-1]) == _key(edition):
        return
    elif editions:
        later = {"at": at, "magma": dict(magma), "versions": versions()}
        editions[-1] = {**editions[-1], "until": at}
        origin = {**origin, "later": [*entries(origin, "later"), later]}
    write_json(workdir.root / ORIGIN, {**origin, "editions": [*editions, dict(edition)]})


def _told(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The editions by manifest.json, of which the last is the file that it has; none without one."""
    campaign = mapping(found, "campaign")
    if not campaign:
        return []
    last = {"source": campaign.get("source"), "sha256": campaign.get("sha256")}
    tree, jobs = mapping(found, "magma").get("tree"), len(entries(found, "trials"))
    return [*entries(campaign, "editions"), {**last, "tree": tree, "jobs": jobs}]


def _key(edition: Mapping[str, Any]) -> tuple[Any, ...]:
    return edition.get("sha256"), edition.get("tree")


def mapping(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A member that is an object; empty where it is none."""
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def entries(value: Mapping[str, Any], key: str) -> list[Any]:
    """A member that is a list of objects; empty where it is none."""
    found = value.get(key)
    return list(found) if isinstance(found, list) and all(isinstance(one, dict) for one in found) else []
