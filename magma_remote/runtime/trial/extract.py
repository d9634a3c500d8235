"""PoC extraction: runs each finding once in a container of its image and keeps what crashes or triggers a bug.

What the container says is not to be trusted: names, sizes and links are a fuzzer's.
"""

from __future__ import annotations

import os
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import TYPE_CHECKING

from magma_remote.errors import EngineError, EngineGoneError, StorageError
from magma_remote.model.container import SHARED
from magma_remote.model.document import show
from magma_remote.model.pocs import Poc, bug_of, exit_code_of, poc_name, sha256_of
from magma_remote.model.units import human_bytes
from magma_remote.runtime.files import read_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from magma_remote.model.jobs import Job
    from magma_remote.ports import Runner

LARGEST = 64 << 20  # bytes of a test case: fuzzers themselves stop at 1 MiB or so
_LONGEST = 1 << 20  # of a name, or of what one run of a program says
_LONGEST_CASE = 4096

_ONE_WRITER = Lock()  # two trials may find one case at one time: it is new once

# As captain's extract.sh, in one go: a `docker exec` for each finding costs more than most findings.
# The last pair has no name and says how many findings there were.
_SCRIPT = r"""
[ -x "$FUZZER/findings.sh" ] && [ -x "$MAGMA/runonce.sh" ] || exit 127
"$FUZZER/findings.sh" | {
    count=0
    while IFS= read -r file; do
        [ -f "$file" ] || continue
        count=$((count + 1))
        out="$(timeout -k 1 60 "$MAGMA/runonce.sh" "$file" < /dev/null)" || printf '%s\0%s\0' "$file" "$out"
    done
    printf '\0%d\0' "$count"
}
"""


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """`findings` counts the test cases that were tried.

    `pocs` are this trial's, each once; `new` of them were not in `poc/` before. `problems` are lines for people.
    """

    findings: int
    pocs: tuple[Poc, ...]
    new: int
    problems: tuple[str, ...] = ()


def extract(runner: Runner, container: str, shared: Path, folder: Path, job: Job) -> Extraction:
    """Write PoCs to `folder`, named by bug and content, so that trials and machines can be merged.

    EngineError where the container fails, StorageError where a PoC cannot be written. A test case that cannot be read
    is a problem, and the others go on.
    """
    findings: int | None = None
    new = 0
    found: dict[str, Poc] = {}
    problems: list[str] = []
    for file, said in _pairs(runner.execute(container, _SCRIPT)):
        if not file:
            findings = int(said) if said.isdecimal() else None
            continue
        try:
            content = _content(runner, container, shared, file)
        except EngineGoneError:
            raise
        except EngineError as error:
            problems.append(f"{show(file)} cannot be read: {error}")
            continue
        if len(content) > LARGEST:
            problems.append(f"{show(file)} is larger than {human_bytes(LARGEST)}: it is left out")
            continue
        sha256, bug = sha256_of(content), bug_of(said)
        path, is_new = _write(folder / poc_name(job, bug, sha256), content, sha256)
        new += is_new
        poc = Poc(
            bug=bug,
            file=path.name,
            sha256=sha256,
            size=len(content),
            exit_code=exit_code_of(said),
            case=_readable(file),
        )
        found.setdefault(path.name, poc)
    if findings is None:
        raise EngineError("what its container said was cut short: not every test case is known to have been tried")
    return Extraction(
        findings=findings, pocs=tuple(sorted(found.values(), key=_key)), new=new, problems=tuple(problems)
    )


def _readable(file: str) -> str:
    """Text, whatever bytes it was."""
    return file.encode(errors="surrogateescape")[:_LONGEST_CASE].decode(errors="backslashreplace")


def _key(poc: Poc) -> tuple[str, str]:
    return poc.bug, poc.file


def _pairs(chunks: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    rest = b""
    for chunk in chunks:
        *fields, rest = (rest + chunk).split(b"\0")
        if len(fields) % 2:
            rest = fields.pop() + b"\0" + rest
        if len(rest) > _LONGEST:
            raise EngineError(f"one test case says more than {human_bytes(_LONGEST)}: its output cannot be read")
        yield from (
            (fields[at].decode(errors="surrogateescape"), fields[at + 1].decode(errors="replace"))
            for at in range(0, len(fields), 2)
        )


def _content(runner: Runner, container: str, shared: Path, file: str) -> bytes:
    """At most one byte more than is taken."""
    path = PurePosixPath(file)
    if path.is_relative_to(SHARED):
        here = _read_below(shared, shared / path.relative_to(SHARED))
        if here is not None:
            return here
    return b"".join(runner.execute(container, f"head -c {LARGEST + 1} -- {shlex.quote(file)}"))


def _read_below(shared: Path, path: Path) -> bytes | None:
    """A file's content, None where it is none below SHARED: the container may change links while we look."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None  # the container's own user may read it all the same
    try:
        opened_at = Path(f"/proc/self/fd/{descriptor}").readlink()
        if not stat.S_ISREG(os.fstat(descriptor).st_mode) or not opened_at.is_relative_to(shared.resolve()):
            return None
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(LARGEST + 1)
    finally:
        os.close(descriptor)


def _write(path: Path, content: bytes, sha256: str) -> tuple[Path, bool]:
    """Where it is, and whether it is new. One that shares its short hash with another gets a longer name."""
    try:
        with _ONE_WRITER:
            if path.exists() and read_file(path) != content:
                path = path.with_name(f"{path.name}.{sha256}")
            if path.exists():
                return path, False
            partial = path.with_name(f".{path.name}")
            partial.write_bytes(content)
            partial.rename(path)
    except OSError as error:
        raise StorageError(f"{path} could not be written: {error.strerror}") from error
    return path, True
