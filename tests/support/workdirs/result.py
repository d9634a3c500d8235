"""A result as a worker leaves it, with all that a fuzzer may make."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from magma_remote.model.entries import RunEntry, RunState
from magma_remote.model.jobs import Job
from magma_remote.model.layout import Workdir
from magma_remote.model.messages import Place
from magma_remote.runtime.workdir.manifest import write_manifest

if TYPE_CHECKING:
    from pathlib import Path

JOB = Job(repeat=3, fuzzer="afl", target="libpng", program="readpng")
RUN = "7-0a1b2c"
CLOSED = 0o400  # the least that a test may still read without being root
ODD = [b"a b", b"it's", b'a"b', b"line\nend", b"\xff\xfe", b"-rf", b"$(touch x)", b"*", b"back\\slash", "ü".encode()]


def a_result(folder: Path, *, job: Job = JOB, big: int = 1 << 16, word: str = "first") -> RunEntry:
    """Make `folder/workdir_c0ffee_RUN`, and the ledger's entry of it."""
    root = folder / f"workdir_c0ffee_{RUN}"
    fill(Workdir(root), job, big, word)
    return entry_of(root, write_manifest(root))


def entry_of(root: Path, manifest: str, *, worker: str = "w1") -> RunEntry:
    place = Place(folder=str(root), workdirs=str(root.parent), token="token", host="127.0.0.1", port=22, user="nobody")
    return RunEntry(
        run=root.name.rpartition("_")[2],
        number=int(root.name.rpartition("_")[2].partition("-")[0]),
        attempt=1,
        worker=worker,
        state=RunState.REPORTED,
        place=place,
        manifest=manifest,
    )


def fill(workdir: Workdir, job: Job, big: int, word: str) -> None:
    """Make all of it: `big` bytes of noise, and `word` in what tells results of one job apart."""
    for folder in workdir.folders:
        folder.mkdir(parents=True)
    entry = workdir.entry(job)
    (entry / "findings").mkdir(parents=True)
    (entry / "monitor").mkdir()
    (entry / "empty").mkdir()
    (entry / "monitor/5").write_text(f"A_R,A_T\n1,0\n{word}")
    (entry / "big").write_bytes(os.urandom(big))
    for name in ODD:
        (entry / "findings" / os.fsdecode(name)).write_bytes(name)
    (entry / "findings/up").symlink_to("../monitor/5")
    (entry / "findings/loose").symlink_to(os.fsdecode(b"nowhere/\xff"))
    (entry / "findings/tool").write_text("#!/bin/sh\n")
    (entry / "findings/tool").chmod(0o755)
    (entry / "monitor/5").chmod(CLOSED)
    (entry / "empty").chmod(0o500)
    workdir.container_log(job).write_text(f"log of {word}\n")
    workdir.build_log(job.fuzzer, job.target, "10.0.0.1").write_text(f"build of {word}\n")
    (workdir.pocs / f"{job.fuzzer}_{job.target}_{job.program}_AAH001.0123abcd").write_bytes(b"poc")
    workdir.record(job).write_text(f'{{"reason": null, "word": "{word}"}}\n')


def contents(root: Path) -> dict[str, tuple[object, ...]]:
    """All that stands in a folder: kinds, modes and contents by their paths."""
    return {os.fsencode(path.relative_to(root)).decode("latin-1"): _facts(path) for path in sorted(root.rglob("*"))}


def _facts(path: Path) -> tuple[object, ...]:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return ("link", os.readlink(path))  # noqa: PTH115 - as it is written
    if stat.S_ISDIR(mode):
        return ("dir", stat.S_IMODE(mode))
    return ("file", stat.S_IMODE(mode), path.read_bytes())
