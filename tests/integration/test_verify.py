"""`magma-remote verify` on a WORKDIR with every defect."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import closing
from socket import AF_UNIX, socket
from typing import TYPE_CHECKING

import pytest

from magma_remote.runtime.verifying.workdir import verify_workdir
from tests.support.commands import call, refused
from tests.support.workdirs.finished import DONE, Proven, proven
from tests.support.workdirs.merged import Merged, a_ball, cut
from tests.support.workdirs.result import contents
from tests.support.workdirs.spoiling import (
    BUILD,
    ENTRY,
    KEY,
    LOG,
    POC,
    checked,
    flip,
    remove,
    unlink,
    without_ledger,
    write,
    wrongs,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("fast_disk")


def test_a_sound_workdir(sound: Proven) -> None:
    before = contents(sound.workdir.root)
    found = checked(sound, 0)
    assert (found["ok"], found["expected"], found["proven"], found["wrong"]) == (True, DONE, DONE, [])
    assert found["files"] > DONE * 10
    assert contents(sound.workdir.root) == before
    said = call("verify", str(sound.workdir.root)).stdout
    assert said.startswith("All well: 3 of 3 trials are there, each as it was written (")
    assert len(said.splitlines()) == 1


def test_a_sound_workdir_without_its_ledger(sound: Proven) -> None:
    without_ledger(sound)
    assert checked(sound, 0)["proven"] == DONE


def _chmod(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).chmod(0o604)


def _link(root: Path) -> None:
    (root / ENTRY / "findings/up").unlink()
    (root / ENTRY / "findings/up").symlink_to("../monitor/6")


def _pipe(path: str) -> Callable[[Path], None]:
    """Who opens one to read it waits for somebody who writes."""

    def spoil(root: Path) -> None:
        (root / path).unlink(missing_ok=True)
        os.mkfifo(root / path)

    return spoil


def _moved(path: str) -> Callable[[Path], None]:
    """To another disk, say, with a link in its place."""

    def spoil(root: Path) -> None:
        (root / path).rename(root / "moved")
        (root / path).symlink_to(root / "moved")

    return spoil


def _deep(root: Path) -> None:
    """Deeper than Python calls itself; a path of Linux takes no more than 4,096 bytes, a command what is left."""
    descriptor = os.open(root / ENTRY, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)


def _socket(root: Path) -> None:
    descriptor = os.open(root / ENTRY, os.O_RDONLY)
    with closing(socket(AF_UNIX)) as made:  # by a short path: one of a socket has an end
        made.bind(f"/proc/self/fd/{descriptor}/socket")
    os.close(descriptor)


DEFECTS = {
    "missing trial": (remove(ENTRY), [("missing", ENTRY)]),
    "missing file": (unlink(f"{ENTRY}/big"), [("missing", f"{ENTRY}/big")]),
    "altered file": (flip(f"{ENTRY}/big"), [("altered", f"{ENTRY}/big")]),
    "altered link": (_link, [("altered", f"{ENTRY}/findings/up")]),
    "cut file": (lambda root: cut(root / ENTRY / "big", 10), [("altered", f"{ENTRY}/big")]),
    "extra file in a trial": (write(f"{ENTRY}/monitor/7"), [("extra", f"{ENTRY}/monitor/7")]),
    "extra trial": (write("ar/afl/libpng/readpng/9/ball.tar"), [("extra", "ar/afl/libpng/readpng/9")]),
    "extra file in ar": (write("ar/afl/x"), [("extra", "ar/afl/x")]),
    "empty folder in ar": (lambda root: (root / "ar/afl/x").mkdir(), [("extra", "ar/afl/x")]),
    "empty folders in ar": (lambda root: (root / "ar/x/y/z").mkdir(parents=True), [("extra", "ar/x/y/z")]),
    "page for an index": (write("poc/index.html"), [("extra", "poc/index.html")]),
    "missing log": (unlink(LOG), [("missing", LOG)]),
    "altered log": (flip(LOG), [("altered", LOG)]),
    "altered build log": (flip(BUILD), [("altered", BUILD)]),
    "extra log": (write("log/x.log"), [("extra", "log/x.log")]),
    "missing poc": (unlink(POC), [("missing", POC)]),
    "altered poc": (flip(POC), [("altered", POC)]),
    "extra poc": (write("poc/afl_libpng_readpng_NEW.01234567"), [("extra", "poc/afl_libpng_readpng_NEW.01234567")]),
    "extra folder": (write("poc/x/y"), [("extra", "poc/x")]),
    "missing record": (unlink(f"trials/{KEY}.json"), [("missing", f"trials/{KEY}.json")]),
    "altered record": (flip(f"trials/{KEY}.json"), [("altered", f"trials/{KEY}.json")]),
    "extra record": (write("trials/a,b,c,0.json"), [("extra", "trials/a,b,c,0.json")]),
    "missing manifest": (unlink(f"manifests/{KEY}.json"), [("missing", f"manifests/{KEY}.json")]),
    "extra manifest": (write("manifests/a,b,c,0.json"), [("extra", "manifests/a,b,c,0.json")]),
    "missing execution": (unlink(f"executions/{KEY}.json"), [("missing", f"executions/{KEY}.json")]),
    "altered execution": (flip(f"executions/{KEY}.json"), [("altered", f"executions/{KEY}.json")]),
    "extra execution": (write("executions/x"), [("extra", "executions/x")]),
    "link for a trial": (_moved(ENTRY), [("altered", ENTRY)]),
    "link for a fuzzer": (_moved("ar/afl"), [("altered", "ar/afl")]),
    "pipe in a trial": (_pipe(f"{ENTRY}/pipe"), [("extra", f"{ENTRY}/pipe")]),
    "socket in a trial": (_socket, [("extra", f"{ENTRY}/socket")]),
    "pipe for a file": (_pipe(f"{ENTRY}/big"), [("extra", f"{ENTRY}/big"), ("missing", f"{ENTRY}/big")]),
    "pipe for a log": (_pipe(LOG), [("extra", LOG)]),
    "pipe for a record": (_pipe(f"trials/{KEY}.json"), [("extra", f"trials/{KEY}.json")]),
    "pipe for a manifest": (_pipe(f"manifests/{KEY}.json"), [("altered", f"manifests/{KEY}.json")]),
    "pipe for an execution": (_pipe(f"executions/{KEY}.json"), [("altered", f"executions/{KEY}.json")]),
    "pipe for manifest.json": (_pipe("manifest.json"), [("altered", "manifest.json")]),
    "folders without end": (_deep, [("extra", f"{ENTRY}/{'/'.join('d' * (depth + 1))}") for depth in range(1500)]),
    "missing manifest.json": (unlink("manifest.json"), [("missing", "manifest.json")]),
    "damaged manifest.json": (write("manifest.json", "{"), [("altered", "manifest.json")]),
    "damaged origin.json": (write("origin.json", "{}"), [("altered", "origin.json")]),
    "pipe for origin.json": (_pipe("origin.json"), [("altered", "origin.json")]),
    "emptied manifest.json": (write("manifest.json", "{}"), [("altered", "manifest.json")]),
}


@pytest.mark.parametrize(
    ("spoil", "expected"), [pytest.param(*defect, id=name.replace(" ", "-")) for name, defect in DEFECTS.items()]
)
def test_each_defect_is_named(sound: Proven, spoil: Callable[[Path], None], expected: list[tuple[str, str]]) -> None:
    spoil(sound.workdir.root)
    assert wrongs(sound) == expected


@pytest.mark.parametrize("name", ["altered file", "missing log", "missing trial", "altered execution"])
def test_defects_are_named_without_the_ledger(sound: Proven, name: str) -> None:
    without_ledger(sound)
    spoil, expected = DEFECTS[name]
    spoil(sound.workdir.root)
    assert wrongs(sound) == expected


def test_modes_are_a_copys_own(sound: Proven) -> None:
    for path in (f"{ENTRY}/big", LOG):
        _chmod(path)(sound.workdir.root)
    assert checked(sound, 0)["notes"] == [
        "2 files and folders have another mode than they were written with, as copies do"
    ]


def test_a_forged_result_is_named_by_the_ledger(sound: Proven) -> None:
    """Whoever rewrites a trial's file, its manifest and manifest.json alike has not rewritten the ledger."""
    root = sound.workdir.root
    flip(LOG)(root)
    path = root / "manifests" / f"{KEY}.json"
    told = json.loads(path.read_bytes())
    for entry in told["entries"]:
        if entry["path"] == LOG:
            entry["sha256"] = hashlib.sha256((root / LOG).read_bytes()).hexdigest()
    path.write_text(json.dumps(told))
    assert ("altered", f"manifests/{KEY}.json") in wrongs(sound)


def test_many_defects_at_once_are_bounded_on_a_terminal(sound: Proven) -> None:
    for number in range(50):
        write(f"log/extra{number}")(sound.workdir.root)
    flip(LOG)(sound.workdir.root)
    lines = call("verify", str(sound.workdir.root), code=1).stdout.splitlines()
    assert lines[0].startswith("Not well: 1 altered, 50 extra; 2 of 3 trials are there as they were written")
    assert len([line for line in lines if line.startswith("extra: ")]) == 21
    assert lines[-1] == "extra: and 30 more, which --json lists"
    assert len(checked(sound, 1)["wrong"]) == 51


def test_names_from_outside_are_fit_for_a_terminal(sound: Proven) -> None:
    (sound.workdir.root / "log" / os.fsdecode(b"\x1b[2J\xff")).write_text("x")
    said = call("verify", str(sound.workdir.root), code=1).stdout
    assert "\x1b" not in said
    assert "extra: log/" in said


def test_dead_trials_are_missing_by_name_and_reason(tmp_path: Path) -> None:
    made = proven(tmp_path)
    with closing(made.ledger):
        made.finish()
        found = checked(made, 1)
    assert (found["expected"], found["proven"]) == (4, DONE)
    message = "ended_early: the fuzzer ended after 2.1 s of 20 s"
    assert found["wrong"] == [{"fault": "missing", "path": "ar/afl/libpng/readpng/3", "message": message}]


def test_a_campaign_that_goes_on_is_told(tmp_path: Path) -> None:
    made = proven(tmp_path)
    with closing(made.ledger):
        assert checked(made, 1)["notes"] == ["the campaign has not ended: trials that still run count as missing"]


def test_a_captains_workdir_is_unproven(tmp_path: Path) -> None:
    merged = Merged(tmp_path / "workdir")
    merged.add()
    merged.add(("afl", "libpng", "readpng", 2))
    found = checked(merged.root, 1)
    assert [(one["fault"], one["path"]) for one in found["wrong"]] == [
        ("missing", "ar/afl/libpng/readpng/1"),
        ("unproven", "ar/afl/libpng/readpng/0"),
        ("unproven", "ar/afl/libpng/readpng/2"),
    ]
    assert (found["expected"], found["proven"]) == (None, 0)
    assert "nobody wrote down what the files were" in found["notes"][0]


def test_how_far_it_is_with_a_captains_is_told(tmp_path: Path) -> None:
    merged = Merged(tmp_path / "workdir")
    for run in range(3):
        merged.add(("afl", "libpng", "readpng", run))
    told: list[tuple[int, int]] = []
    verify_workdir(merged.workdir, None, processes=1, on_progress=lambda *done: told.append(done))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_captains_fuzzer_with_fewer_repeats_is_told(tmp_path: Path) -> None:
    merged = Merged(tmp_path / "workdir")
    for fuzzer, run in (("afl", 0), ("afl", 1), ("honggfuzz", 0)):
        merged.add((fuzzer, "libpng", "readpng", run))
    found = checked(merged.root, 1)
    assert {one["fault"] for one in found["wrong"]} == {"unproven"}
    assert found["notes"][1].startswith("honggfuzz/libpng has 1 repeats where others have 2: ")
    assert "odd: honggfuzz/libpng has 1 repeats" in call("summary", str(merged.root), "-o", os.devnull).stderr


def test_a_cut_tarball_of_a_captain_is_missing(tmp_path: Path) -> None:
    merged = Merged(tmp_path / "workdir")
    cut(merged.add(ball=a_ball()), 1000)
    assert wrongs(merged.root) == [("missing", ENTRY)]


def test_what_is_no_workdir_is_refused(tmp_path: Path) -> None:
    assert "has no folder ar/" in refused("verify", str(tmp_path))
