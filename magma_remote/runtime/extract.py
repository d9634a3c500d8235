"""PoC extraction: runs each finding once in a container of its image and keeps what crashes or triggers a bug."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import PurePosixPath
from threading import Lock
from typing import TYPE_CHECKING

from magma_remote.errors import StorageError
from magma_remote.model.container import SHARED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from magma_remote.model.jobs import Job
    from magma_remote.model.layout import Workdir
    from magma_remote.ports import Runner

_ONE_WRITER = Lock()  # two trials may find one case at one time: it is new once

# As captain's extract.sh, in one go: a `docker exec` for each finding costs more than most findings.
_SCRIPT = r"""
[ -x "$FUZZER/findings.sh" ] && [ -x "$MAGMA/runonce.sh" ] || exit 127
"$FUZZER/findings.sh" | while IFS= read -r file; do
    out="$(timeout -k 1 60 "$MAGMA/runonce.sh" "$file" < /dev/null)" || printf '%s\0%s\0' "$file" "$out"
done
"""


def extract(runner: Runner, container: str, shared: Path, workdir: Workdir, job: Job) -> int:
    """Write PoCs to `poc/` and say how many are new.

    They are named `FUZZER_TARGET_PROGRAM_BUG.HASH`, with `NEW` for a crash of no known bug: the hash is of the
    content, so that trials and machines can be merged and equal cases stand once.
    """
    count = 0
    for file, said in _pairs(runner.execute(container, _SCRIPT)):
        content = _content(runner, container, shared, file)
        name = f"{job.fuzzer}_{job.target}_{job.program}_{_bug(said)}.{hashlib.sha256(content).hexdigest()[:8]}"
        count += _write(workdir.pocs / name, content)
    return count


def _pairs(chunks: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    rest = b""
    for chunk in chunks:
        *fields, rest = (rest + chunk).split(b"\0")
        if len(fields) % 2:
            rest = fields.pop() + b"\0" + rest
        yield from (
            (fields[at].decode(errors="surrogateescape"), fields[at + 1].decode(errors="replace"))
            for at in range(0, len(fields), 2)
        )


def _bug(said: str) -> str:
    """Magma's runonce.sh says `exit_code N` and, where a canary was triggered, `bug ID`."""
    words = said.split()
    named = words[words.index("bug") + 1 :] if "bug" in words else []
    return named[0].replace("/", "_") if named else "NEW"


def _content(runner: Runner, container: str, shared: Path, file: str) -> bytes:
    path = PurePosixPath(file)
    if path.is_relative_to(SHARED):
        here = shared / path.relative_to(SHARED)
        if here.is_file() and here.resolve().is_relative_to(shared.resolve()):
            return here.read_bytes()
    return b"".join(runner.execute(container, f"cat -- {shlex.quote(file)}"))


def _write(path: Path, content: bytes) -> bool:
    partial = path.with_name(f".{path.name}")
    try:
        with _ONE_WRITER:
            if path.exists():
                return False
            partial.write_bytes(content)
            partial.rename(path)
    except OSError as error:
        raise StorageError(f"{path} could not be written: {error.strerror}") from error
    return True
