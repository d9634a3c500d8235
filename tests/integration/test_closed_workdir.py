"""`verify`, `summary` and their like on a WORKDIR of which a user may not read everything, or write nothing."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.model.layout import trial_key
from tests.support.commands import as_nobody, open_place
from tests.support.workdirs.finished import DONE, JOBS, proven
from tests.support.workdirs.merged import Merged
from tests.support.workdirs.result import contents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENTRY = "ar/afl/libpng/readpng/0"
DENIED = "it cannot be read: Permission denied"

pytestmark = pytest.mark.usefixtures("fast_disk")


@pytest.fixture
def workdir() -> Iterator[Path]:
    """All of it may be read by everybody, but for its ledger, which is not there."""
    with open_place() as place:
        made = proven(place, jobs=JOBS[:DONE])
        with closing(made.ledger):
            made.finish(all_done=True)
        for path in made.workdir.root.glob("ledger.sqlite*"):
            path.unlink()
        _open_to_all(made.workdir.root)
        yield made.workdir.root


def _open_to_all(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o644))


def _wrongs(workdir: Path) -> list[tuple[str, str, str]]:
    ended = as_nobody("verify", workdir, "--json", "--processes", "1")
    assert (ended.returncode, ended.stderr) == (1, "")
    found: dict[str, Any] = json.loads(ended.stdout)
    return [(one["fault"], one["path"], one["message"]) for one in found["wrong"]]


def test_a_closed_folder_of_trials_is_named(workdir: Path) -> None:
    """As is a trial of it; the others are looked at."""
    (workdir / "ar/afl/libpng").chmod(0)
    (workdir / "log/x.log").write_text("x")
    assert _wrongs(workdir) == [
        ("altered", "ar/afl/libpng", DENIED),
        *(("altered", f"ar/afl/libpng/readpng/{run}", DENIED) for run in range(DONE)),
        ("extra", "log/x.log", ""),
    ]
    ended = as_nobody("summary", workdir)
    assert (ended.returncode, json.loads(ended.stdout)) == (1, {"results": {}})
    said = "ar/afl/libpng cannot be read: Permission denied"
    assert ended.stderr.splitlines() == [
        f"odd: {said}",
        *(f"missing: afl/libpng/readpng #{run} (corrupt): {said}" for run in range(DONE)),
        "0 of 3 trials, 0 of them odd, 3 missing",
    ]


def test_a_closed_trial_is_missing(workdir: Path) -> None:
    (workdir / ENTRY).chmod(0)
    ended = as_nobody("summary", workdir, "--processes", "1")
    assert ended.returncode == 1
    assert any(
        line.startswith("missing: afl/libpng/readpng #0 (corrupt): ")
        and line.endswith("cannot be read: Permission denied")
        for line in ended.stderr.splitlines()
    )


@pytest.mark.skipif(os.getuid() != 0, reason="who owns a file opens it, and may read it then")
@pytest.mark.parametrize("name", ["big", "findings"])
def test_a_closed_file_or_folder_of_a_trial_is_named(workdir: Path, name: str) -> None:
    (workdir / ENTRY / name).chmod(0)
    (workdir / ENTRY / "monitor/5").unlink()
    ((_, path, message), missing) = _wrongs(workdir)
    assert (path, missing) == (f"{ENTRY}/{name}", ("missing", f"{ENTRY}/monitor/5", ""))
    assert message == "it cannot be read: Operation not permitted"


def test_a_closed_folder_of_logs_is_named(workdir: Path) -> None:
    (workdir / "log").chmod(0)
    names = ["afl_libpng_build_10.0.0.1", *(f"afl_libpng_readpng_{run}_container" for run in range(DONE))]
    assert _wrongs(workdir) == [
        ("altered", "log", DENIED),
        *(("altered", f"log/{name}.log", DENIED) for name in names),
    ]


@pytest.mark.parametrize("name", ["manifests", "executions"])
def test_a_closed_folder_of_manifests_is_named(workdir: Path, name: str) -> None:
    (workdir / name).chmod(0)
    assert _wrongs(workdir) == [
        ("altered", name, DENIED),
        *(("altered", f"{name}/{trial_key(job)}.json", DENIED) for job in JOBS[:DONE]),
    ]


def test_a_closed_manifest_json_is_told(workdir: Path) -> None:
    (workdir / "manifest.json").chmod(0)
    assert _wrongs(workdir) == [("altered", "manifest.json", DENIED)]
    ended = as_nobody("summary", workdir)
    assert ended.returncode == 2
    assert "manifest.json cannot be read (Permission denied): mend the file" in ended.stderr


@pytest.mark.parametrize("command", ["verify", "summary"])
def test_a_closed_workdir_is_told(workdir: Path, command: str) -> None:
    workdir.chmod(0o644)
    ended = as_nobody(command, workdir)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "Permission denied; make room or change its rights" in ended.stderr


@pytest.mark.parametrize("killed", [False, True], ids=["ended", "killed"])
def test_a_workdir_that_may_only_be_read_is_read(killed: bool) -> None:
    """With what its dispatcher had not written back when it was killed; nothing is left there."""
    with open_place() as place:
        made = proven(place, jobs=JOBS[:DONE])
        made.finish(all_done=True)
        root = made.workdir.root
        if killed:
            shutil.copytree(root, place / "killed", symlinks=True)
            root = place / "killed"
            (root / "ledger.sqlite-shm").unlink()
            assert (root / "ledger.sqlite-wal").stat().st_size
        made.ledger.close()
        _open_to_all(root)
        root.chmod(0o555)
        before = contents(root)
        found = json.loads(as_nobody("verify", root, "--json", "--processes", "1").stdout)
        assert (found["ok"], found["expected"], found["proven"]) == (True, DONE, DONE)
        ended = as_nobody("summary", root, "--processes", "1")
        assert (ended.returncode, ended.stderr.splitlines()[-1].partition(",")[0]) == (0, "3 of 3 trials")
        assert contents(root) == before


def test_a_closed_folder_of_a_captain_ends_with_1() -> None:
    with open_place() as place:
        merged = Merged(place / "workdir")
        merged.add()
        merged.add(("honggfuzz", "libpng", "readpng", 0))
        (merged.root / "ar/honggfuzz").chmod(0o644)
        ended = as_nobody("summary", merged.root)
        assert ended.returncode == 1
        assert list(json.loads(ended.stdout)["results"]) == ["afl"]
        assert ended.stderr.startswith("odd: ar/honggfuzz cannot be read: Permission denied\n")
        ended = as_nobody("report", merged.root, "-o", place / "no/report")
        assert "Permission denied" in ended.stderr
        found = json.loads(as_nobody("verify", merged.root, "--json", "--processes", "1").stdout)["wrong"]
        assert "ar/honggfuzz cannot be read: Permission denied" in [one["message"] for one in found]
