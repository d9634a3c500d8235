"""`magma-remote summary` on WORKDIRs of a captain with every defect: figures, and what is said of them."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.runtime.workdir.experiment import read_experiment
from tests.support.commands import call, refused
from tests.support.workdirs.merged import Ball, Merged, Place, a_ball, cut, dump, usual

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


FOUND = {"reached": {"AAH001": 5, "AAH003": 10}, "triggered": {"AAH001": 15}}
NOTHING: dict[str, Any] = {"reached": {}, "triggered": {}}


def _place(run: int, program: str = "readpng", fuzzer: str = "afl") -> Place:
    return fuzzer, "libpng", program, run


def _said(merged: Merged, code: int) -> tuple[Any, list[str]]:
    result = call("summary", str(merged.root), code=code)
    return json.loads(result.stdout), result.stderr.splitlines()


@pytest.mark.parametrize("plain", [False, True], ids=["tarballs", "folders"])
def test_a_captains_workdir(merged: Merged, plain: bool) -> None:
    for run in (0, 1, 2):
        merged.add(_place(run), plain=plain)
    merged.add(_place(0, fuzzer="honggfuzz"), plain=plain)
    found, said = _said(merged, 0)
    runs = {"0": FOUND, "1": FOUND, "2": FOUND}
    assert found == {
        "results": {"afl": {"libpng": {"readpng": runs}}, "honggfuzz": {"libpng": {"readpng": {"0": FOUND}}}}
    }
    assert said == [
        "odd: honggfuzz/libpng has 1 repeats where others have 3: nobody wrote down whether more were asked for",
        "4 trials, 0 of them odd, 0 missing; how many were asked for is not written down",
    ]


def test_the_file_is_written_in_one_step(merged: Merged, tmp_path: Path) -> None:
    merged.add()
    result = call("summary", str(merged.root), "-o", str(tmp_path / "summary.json"))
    assert result.stdout == ""
    assert json.loads((tmp_path / "summary.json").read_text())["results"]["afl"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["summary.json", "workdir"]


def test_a_device_is_written_to_and_not_replaced(merged: Merged, tmp_path: Path) -> None:
    """As root it could be replaced: a machine without /dev/null is broken."""
    merged.add()
    (tmp_path / "null").symlink_to("/dev/null")
    call("summary", str(merged.root), "-o", str(tmp_path / "null"))
    assert (tmp_path / "null").is_symlink()


def test_a_link_is_written_through_and_not_replaced(merged: Merged, tmp_path: Path) -> None:
    """/dev/stdout is one, and leads to a plain file where output is sent to one."""
    merged.add()
    (tmp_path / "file").write_text("before")
    (tmp_path / "link").symlink_to("file")
    call("summary", str(merged.root), "-o", str(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    assert json.loads((tmp_path / "file").read_text())["results"]["afl"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link", "workdir"]


@pytest.mark.parametrize("name", ["ledger.sqlite", "manifest.json", "origin.json", "campaign.json", "log/s", "ar/x/s"])
def test_a_summary_in_place_of_a_result_is_refused(merged: Merged, name: str) -> None:
    merged.add()
    output = merged.root / name
    said = refused("summary", str(merged.root), "-o", str(output))
    assert said == f"-o {output} is among the results: name a place for the summary, such as -o summary.json"
    assert not output.exists()
    call("summary", str(merged.root), "-o", str(merged.root / "summary.json"))


def test_a_file_that_cannot_be_written(merged: Merged, tmp_path: Path) -> None:
    merged.add()
    result = call("summary", str(merged.root), "-o", str(tmp_path / "no/summary.json"), code=1)
    assert "name another file with -o" in str(result.exception)


def _cut_tar(merged: Merged) -> None:
    cut(merged.add(), 3000)


def _cut_at_a_member(merged: Merged) -> None:
    cut(merged.add(), 5 * 512)


def _no_tar(merged: Merged) -> None:
    merged.add().write_bytes(b"x" * 20_000)


def _no_monitor(merged: Merged) -> None:
    merged.add(ball=Ball(files={"findings/x": "x"}))


def _empty(merged: Merged) -> None:
    merged.entry().mkdir(parents=True)


def _never_launched(merged: Merged) -> None:
    merged.add(ball=a_ball({}))
    merged.log(text="seed.png: exit_code 1\nNo seeds remaining! Campaign will not be launched.\n")


@pytest.mark.parametrize(
    ("spoil", "reason", "words"),
    [
        pytest.param(_cut_tar, "corrupt", "ball.tar: it is cut after 3000 bytes", id="cut"),
        pytest.param(_cut_at_a_member, "corrupt", "it is cut after 2560 bytes", id="cut at a member"),
        pytest.param(_no_tar, "corrupt", "it is damaged at byte 0", id="no tar"),
        pytest.param(_no_monitor, "no_monitor", "holds no folder `monitor`", id="no monitor"),
        pytest.param(_empty, "no_monitor", "holds no folder `monitor`", id="empty"),
        pytest.param(_never_launched, "not_launched", "never launched", id="never launched"),
    ],
)
def test_a_trial_that_cannot_be_read_is_missing(
    merged: Merged, spoil: Callable[[Merged], None], reason: str, words: str
) -> None:
    spoil(merged)
    merged.add(_place(1))
    found, said = _said(merged, 1)
    assert found["results"]["afl"]["libpng"]["readpng"] == {"1": FOUND}
    assert said[0].startswith(f"missing: afl/libpng/readpng #0 ({reason}): ")
    assert words in said[0]
    assert said[1].startswith("1 trials, 0 of them odd, 1 missing")


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_trial_that_may_not_be_read_is_missing(merged: Merged) -> None:
    merged.add().chmod(0)
    assert "cannot be read: Permission denied" in _said(merged, 1)[1][0]


@pytest.mark.parametrize(
    ("ball", "expected", "words"),
    [
        pytest.param(a_ball({**usual(), "25": dump(1)}), FOUND, "cut short", id="cut row"),
        pytest.param(a_ball({**usual(), "25": ""}), FOUND, "dumps without a row: monitor/25", id="no row"),
        pytest.param(a_ball({**usual(), "40": dump(1, 1, 1, 0)}), FOUND, "3 polls are missing", id="gap"),
        pytest.param(a_ball({**usual(), "26": dump(1, 1, 1, 0)}), FOUND, "not 5 s after", id="drift"),
        pytest.param(a_ball({**usual(), "25": dump(0, 0, 0, 0)}), FOUND, "counts that shrink", id="shrinking"),
        pytest.param(a_ball({**usual(), "x": ""}), FOUND, 'no stamps: "x"', id="foreign name"),
        pytest.param(a_ball({}), NOTHING, "no canary was ever reached", id="no dump"),
    ],
)
@pytest.mark.parametrize("plain", [False, True], ids=["tarball", "folder"])
def test_what_is_odd_is_told_and_counted(
    merged: Merged,
    ball: Ball,
    expected: dict[str, Any],
    words: str,
    plain: bool,
) -> None:
    merged.add(ball=ball, plain=plain)
    found, said = _said(merged, 0)
    assert found["results"]["afl"]["libpng"]["readpng"]["0"] == expected
    assert len(said) == 2
    assert said[0].startswith("odd: afl/libpng/readpng #0: ")
    assert words in said[0]


def test_gaps_among_the_runs_are_missing(merged: Merged) -> None:
    for run in (1, 3):
        merged.add(_place(run))
    merged.add(_place(0, program="pngcrush"))
    experiment = read_experiment(merged.root)
    assert [(one.program, one.run, one.reason) for one in experiment.missing] == [
        ("pngcrush", 1, "absent"),
        ("pngcrush", 2, "absent"),
        ("pngcrush", 3, "absent"),
        ("readpng", 0, "absent"),
        ("readpng", 2, "absent"),
    ]
    assert experiment.expected is None
    assert experiment.repeat is None


def test_what_is_no_trial_is_told(merged: Merged) -> None:
    merged.add()
    for name in ("x", "00", "-1", "9999999999"):
        (merged.entry().parent / name).mkdir()
    (merged.entry().parent / "1").write_text("a file")
    (merged.workdir.ar / "stray").write_text("x")
    experiment = read_experiment(merged.root)
    assert len(experiment.trials) == 1
    assert len(experiment.problems) == 6
    assert all("is no trial and was not read" in problem for problem in experiment.problems)


def test_the_monitor_of_another_trial_is_none(merged: Merged) -> None:
    merged.add(plain=True)
    linked = merged.add(_place(1), plain=True)
    shutil.rmtree(linked / "monitor")
    (linked / "monitor").symlink_to("../0/monitor")
    experiment = read_experiment(merged.root)
    assert [trial.run for trial in experiment.trials] == [0]
    assert [(one.run, one.reason) for one in experiment.missing] == [(1, "no_monitor")]


def test_many_are_read_in_parallel_and_in_order(merged: Merged) -> None:
    places = [_place(run, program=f"p{program}") for program in range(5) for run in range(8)]
    for place in reversed(places):
        merged.add(place, a_ball({str(5 + place[3]): dump(1, 0, 0, 0)}))
    told: list[tuple[int, int]] = []
    experiment = read_experiment(merged.root, processes=3, on_progress=lambda *done: told.append(done))
    assert [trial.trial for trial in experiment.trials] == places
    assert all(trial.reached == {"AAH001": 5 + trial.run} for trial in experiment.trials)
    assert told == [(count, 40) for count in range(1, 41)]
    assert read_experiment(merged.root, processes=1) == experiment


def test_a_folder_that_is_no_workdir_is_refused(tmp_path: Path) -> None:
    assert "has no folder ar/" in refused("summary", str(tmp_path))


def test_links_of_a_captain_are_not_counted_twice(merged: Merged) -> None:
    merged.add()
    (merged.workdir.ar / "aflx").symlink_to("afl")
    found, said = _said(merged, 0)
    assert list(found["results"]) == ["afl"]
    assert said[0].startswith("odd: ar/aflx/libpng/readpng/0: its entry is that of afl/libpng/readpng/0 by a link")


def test_a_tarball_that_is_a_link_to_anothers_is_not_counted(merged: Merged) -> None:
    merged.add(_place(1))
    merged.entry().mkdir()
    (merged.entry() / "ball.tar").symlink_to("../1/ball.tar")
    found, said = _said(merged, 1)
    assert list(found["results"]["afl"]["libpng"]["readpng"]) == ["1"]
    assert said[0].startswith("odd: ar/afl/libpng/readpng/0: its entry is that of afl/libpng/readpng/1 by a link")


def test_a_pipe_for_a_record_is_none(merged: Merged) -> None:
    merged.add()
    merged.workdir.records.mkdir()
    os.mkfifo(merged.workdir.records / "afl,libpng,readpng,0.json")
    assert _said(merged, 0)[0]["results"]["afl"]
