"""What the tests of the runtime share: a small tree, a WORKDIR and a campaign on a machine in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.model.layout import Workdir
from magma_remote.runtime import affinity, patience, preflight, quickrun
from magma_remote.runtime.extracting import pool as extracting_pool
from magma_remote.runtime.extracting import workdir as extracting
from magma_remote.runtime.trial import cache, trial
from tests.support.memory.desk import Desk
from tests.support.memory.quickrun import Lab, QuickPool
from tests.support.memory.station import Bench
from tests.support.workdirs.merged import Merged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


DOCKERFILE = """\
FROM debian:12
ARG fuzzer_name
ARG target_name
COPY magma /magma/magma/
COPY fuzzers/${fuzzer_name} /magma/fuzzer/
COPY targets/${target_name} /magma/target/
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A Magma tree as far as images are concerned."""
    root = tmp_path / "magma"
    files = ["magma/run.sh", "README.md"]
    files += [f"fuzzers/{name}/build.sh" for name in ("afl", "libfuzzer")]
    files += [f"targets/{name}/configrc" for name in ("libpng", "libtiff")]
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"# {name}\n")
    (root / "docker").mkdir()
    (root / "docker/Dockerfile").write_text(DOCKERFILE)
    return root


@pytest.fixture
def workdir(tmp_path: Path) -> Workdir:
    """A WORKDIR with its folders, as a run makes them."""
    found = Workdir(tmp_path / "workdir")
    for folder in (found.ar, found.logs, found.pocs, found.records, found.staging):
        folder.mkdir(parents=True)
    return found


@pytest.fixture
def shm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tmpfs of the test's own in place of the machine's, which other runs use."""
    folder = tmp_path / "shm"
    folder.mkdir()
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\ntmpfs {folder} tmpfs rw 0 0\n")
    monkeypatch.setattr(cache, "SHM", folder)
    monkeypatch.setitem(_defaults(cache.check_room), "mounts", mounts)
    return folder


def _defaults(function: Any) -> dict[str, Any]:
    found: dict[str, Any] = function.__kwdefaults__
    return found


@pytest.fixture
def easy_machine(monkeypatch: pytest.MonkeyPatch, fast_disk: None) -> None:
    """Its core pattern is right, and its engine is given up at once where it hangs; no trial is really pinned."""
    monkeypatch.setattr(patience, "ENGINE_SECONDS", 0.05)
    monkeypatch.setattr(preflight, "check_core_pattern", lambda: None)
    monkeypatch.setattr(trial, "stay_on", lambda _cpus: None)


@pytest.fixture
def lab(tmp_path: Path, tree: Path, shm: Path, monkeypatch: pytest.MonkeyPatch, easy_machine: None) -> Lab:
    """A machine with two CPUs of its own, whatever this one has: nothing here is really pinned."""
    made = Lab(root=tree, workdir=Workdir(tmp_path / "workdir"), shm=shm)
    monkeypatch.setattr(QuickPool, "made", made.pools, raising=False)
    monkeypatch.setattr(quickrun, "Pool", QuickPool)
    monkeypatch.setattr(quickrun, "keep_off", lambda _cpus, _allowed, _guards: True)
    monkeypatch.setattr(quickrun, "stay_on", lambda _cpus: None)
    return made


@pytest.fixture
def bench(
    tmp_path: Path, tree: Path, shm: Path, monkeypatch: pytest.MonkeyPatch, easy_machine: None
) -> Iterator[Bench]:
    """A worker's machine in memory; nothing here is really pinned, and nothing of it is left."""
    monkeypatch.setattr(affinity, "stay_on", lambda *_: None)
    monkeypatch.setattr(affinity, "keep_off", lambda *_, **__: True)
    made = Bench(root=tree, workdirs=tmp_path / "workdirs", shm=shm)
    yield made
    made.assert_nothing_is_left()


@pytest.fixture
def desk(tmp_path: Path, shm: Path, monkeypatch: pytest.MonkeyPatch, easy_machine: None) -> Iterator[Desk]:
    """A WORKDIR to extract, on a machine in memory; nothing here is really pinned, and nothing of it is left."""
    monkeypatch.setattr(extracting, "keep_off", lambda *_: True)
    for module in (extracting, extracting_pool):
        monkeypatch.setattr(module, "stay_on", lambda _cpus: None)
    monkeypatch.setattr(extracting_pool, "TICK", 0.01)
    made = Desk(Merged(tmp_path / "workdir"))
    yield made
    made.assert_nothing_is_left(shm)
