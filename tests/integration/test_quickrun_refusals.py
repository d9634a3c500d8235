"""What a quickrun refuses before it changes anything, and whom it must not disturb."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.processes.quickrun import CPUS, entries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.processes.quickrun import Lab

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")


@contextmanager
def mounted(path: Path, options: str) -> Iterator[None]:
    """A tmpfs on a new folder."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def test_a_second_run_on_the_workdir(lab: Lab) -> None:
    campaign = lab.campaign()
    first = lab.start(campaign)
    lab.await_running(1)
    second = lab.start_now(campaign, lab.workdir()).end()
    assert second.code == 1
    assert f"process {first.process.pid} ({lab.workdir()})" in second.output
    assert first.end().code == 0, first.output
    assert entries(lab.workdir()) == ["steady/toy/letters/0"]


def test_a_second_run_on_the_cpus(lab: Lab) -> None:
    campaign = lab.campaign()
    first = lab.start(campaign)
    lab.await_running(1)
    second = lab.start_now(campaign, lab.workdir("other")).end()
    assert second.code == 1
    assert "CPUs in use on this machine" in second.output
    assert f"process {first.process.pid} ({lab.workdir()})" in second.output
    assert first.end().code == 0, first.output
    assert "Removed" not in second.output
    assert lab.run(campaign, lab.workdir("other")).code == 0


def test_a_foreign_folder_stays_as_it_is(lab: Lab) -> None:
    workdir = lab.workdir()
    workdir.mkdir()
    (workdir / "thesis.tex").write_text("years of work")
    ended = lab.run(lab.campaign())
    assert ended.code == 2
    assert f"{workdir} is not empty (thesis.tex)" in ended.output
    assert [path.name for path in workdir.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("place", ["results", "targets/toy/results", "."])
def test_a_workdir_in_the_tree(lab: Lab, place: str) -> None:
    before = sorted(lab.tree.rglob("*"))
    ended = lab.run(lab.campaign(), lab.tree / place)
    assert ended.code == 2
    assert "inside the Magma tree" in ended.output
    assert sorted(lab.tree.rglob("*")) == before


@pytest.mark.parametrize("on_disk", [False, True], ids=["cache in memory", "cache on disk"])
@needs_root
def test_a_read_only_place(lab: Lab, *, on_disk: bool) -> None:
    with mounted(lab.folder / "mount", "ro"):
        workdir = lab.folder / "mount" / "results"
        ended = lab.run(lab.campaign(CACHE_ON_DISK=on_disk), workdir)
        assert_named(ended.code, ended.output, str(lab.folder / "mount"))


@needs_root
def test_a_workdir_that_is_read_only(lab: Lab) -> None:
    with mounted(lab.workdir(), "ro"):
        ended = lab.run(lab.campaign())
        assert_named(ended.code, ended.output, str(lab.workdir()))


def test_a_workdir_under_a_file(lab: Lab) -> None:
    (lab.folder / "file").write_text("")
    ended = lab.run(lab.campaign(), lab.folder / "file" / "results")
    assert_named(ended.code, ended.output, str(lab.folder / "file"))


def assert_named(code: int, output: str, place: str) -> None:
    """A message of one line that names the place, and no traceback."""
    assert code in {1, 2}, output
    assert place in output
    assert len(output.splitlines()) == 1, output


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"TIMEOUT": "3s"}, "TIMEOUT was 2"),
        ({"POLL": 2}, "POLL was 1"),
        ({"FUZZERS": ["silent"]}, "steady/toy/letters/0"),
    ],
    ids=["TIMEOUT", "POLL", "FUZZERS"],
)
def test_trials_that_could_not_be_compared(done: Lab, settings: dict[str, Any], said: str) -> None:
    ended = done.run(done.campaign(**settings))
    assert ended.code == 2
    assert said in ended.output
    assert entries(done.workdir()) == ["steady/toy/letters/0"]


@pytest.fixture(scope="module")
def done(shared_lab: Lab) -> Lab:
    """A lab with a finished campaign."""
    assert shared_lab.run(shared_lab.campaign(WORKER_POOL=CPUS[:1])).code == 0
    return shared_lab
