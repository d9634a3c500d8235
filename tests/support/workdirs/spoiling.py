"""What `magma-remote verify` says of a WORKDIR, and ways to spoil one."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

from magma_remote.model.layout import trial_key
from tests.support.commands import call
from tests.support.workdirs.finished import DONE, JOBS, Proven, text_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ENTRY = "ar/afl/libpng/readpng/0"
KEY = trial_key(JOBS[0])
SOUND_TEXT = text_of(JOBS[:DONE])
LOG = "log/afl_libpng_readpng_0_container.log"
POC = "poc/afl_libpng_readpng_AAH001.0123abcd"
BUILD = "log/afl_libpng_build_10.0.0.1.log"


def checked(place: Proven | Path, code: int) -> dict[str, Any]:
    root = place if not isinstance(place, Proven) else place.workdir.root
    found: dict[str, Any] = json.loads(call("verify", str(root), "--json", code=code).stdout)
    return found


def wrongs(place: Proven | Path) -> list[tuple[str, str]]:
    return [(one["fault"], one["path"]) for one in checked(place, 1)["wrong"]]


def without_ledger(sound: Proven) -> None:
    sound.ledger.close()
    for path in sound.workdir.root.glob("ledger.sqlite*"):
        path.unlink()


def write(path: str, text: str = "x") -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)

    return spoil


def unlink(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).unlink()


def flip(path: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        data = bytearray((root / path).read_bytes())
        data[len(data) // 2] ^= 1
        (root / path).write_bytes(data)

    return spoil


def remove(path: str) -> Callable[[Path], None]:
    return lambda root: shutil.rmtree(root / path)


def manifest_of(sound: Proven) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((sound.workdir.root / "manifest.json").read_bytes())
    return found


def forged(sound: Proven, change: Callable[[dict[str, Any]], object]) -> list[dict[str, Any]]:
    told = manifest_of(sound)
    change(told)
    (sound.workdir.root / "manifest.json").write_text(json.dumps(told))
    wrong: list[dict[str, Any]] = checked(sound, 1)["wrong"]
    return wrong


def resealed(sound: Proven, change: Callable[[dict[str, Any]], object]) -> list[tuple[str, str]]:
    """What is named of a manifest.json that was altered, and given the digest of what it is now."""
    path = sound.workdir.root / "manifest.json"
    told = manifest_of(sound)
    change(told)
    del told["sha256"]
    text = f"{json.dumps(told)[:-1]}, "
    path.write_text(f'{text}"sha256": "{hashlib.sha256(text.encode()).hexdigest()}"}}\n')
    return [(one["path"], one["message"]) for one in checked(sound, 1)["wrong"]]
