"""What is known of a Magma tree's origin: from Git, or from the file that came beside a copy of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from magma_remote.adapters.process import run
from magma_remote.errors import MagmaRemoteError

if TYPE_CHECKING:
    from pathlib import Path

NOTE = ".magma-remote.json"
"""In a tree that was copied without its Git data, or beside it: `{"commit": …, "changes": ["M path", …]}`."""

_SECONDS = 60.0
_MOST_CHANGES = 200
_ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE")
_UNKNOWN: dict[str, Any] = {"commit": None, "dirty": None, "changes": None}


def tree_origin(root: Path) -> dict[str, Any]:
    """`commit`; `dirty`, whether the tree differs from it; `changes` as `git status --porcelain` lists them.

    Each is None where it is not known: where the tree has no repository of its own, or Git may not read it.
    """
    noted = next((found for place in (root, root.parent) if (found := _noted(place / NOTE))), None)
    return noted or _from_git(root)


def _noted(path: Path) -> dict[str, Any] | None:
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(said, dict):
        return None
    commit, dirty, changes = said.get("commit"), said.get("dirty"), said.get("changes")
    known = [str(change) for change in changes] if isinstance(changes, list) else None
    if not isinstance(dirty, bool):
        dirty = None if known is None else bool(known)
    return {"commit": commit if isinstance(commit, str) else None, "dirty": dirty, "changes": known}


def _from_git(root: Path) -> dict[str, Any]:
    try:
        if _git(root, "rev-parse", "--show-toplevel").rstrip("\n") != str(root.resolve()):
            return _UNKNOWN  # the tree is a part of something else, whose commit is not Magma's
        commit = _git(root, "rev-parse", "HEAD").strip()
        changes = _git(root, "status", "--porcelain").splitlines()
    except (MagmaRemoteError, OSError):
        return _UNKNOWN
    more = [f"and {len(changes) - _MOST_CHANGES} more"] if len(changes) > _MOST_CHANGES else []
    return {"commit": commit, "dirty": bool(changes), "changes": [*changes[:_MOST_CHANGES], *more]}


def _git(root: Path, *arguments: str) -> str:
    """Nothing is written in the repository, and no program that it names is started.

    What a hook of another repository has in its environment would make Git tell of that one.
    """
    here = ["env", *(f"--unset={name}" for name in _ELSEWHERE)]
    command = [*here, "git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(root)]
    return run([*command, *arguments], timeout=_SECONDS)
