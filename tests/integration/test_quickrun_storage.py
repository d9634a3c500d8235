"""Full file systems: nothing that is complete is lost, nothing that is cut short counts."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.processes.quickrun import CPUS, cache, entries, record, tar_names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.processes.quickrun import Lab

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")


@contextmanager
def mounted(path: Path, size: str) -> Iterator[None]:
    """A tmpfs on a new folder."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def test_a_trial_that_cannot_be_archived_waits_for_room(lab: Lab) -> None:
    campaign = lab.campaign(FUZZARGS={"steady": "--bulk 8"})
    trial = "steady,toy,letters,0"
    with mounted(lab.workdir(), "4m"):
        full = lab.run(campaign)
        assert full.code == 1
        assert "FAILED steady/toy/letters #0 (archive)" in full.output
        assert "its files are kept in" in full.output
        assert not entries(lab.workdir())
        assert not list((lab.workdir() / "staging").iterdir())
        kept = cache(lab.workdir()) / trial / "shared"
        assert (kept / "findings" / "bulk").stat().st_size == 8 << 20
        launched = record(lab.workdir(), trial)["launched_at"]

        still_full = lab.run(campaign)
        assert still_full.code == 1
        assert str(lab.workdir()) in still_full.output
        assert kept.exists()

        subprocess.run(["mount", "-o", "remount,size=64m", str(lab.workdir())], check=True)
        roomy = lab.run(campaign)
        assert roomy.code == 0, roomy.output
        assert "Started" not in roomy.output
        assert "1 of 1 trials complete" in roomy.output
        assert entries(lab.workdir()) == ["steady/toy/letters/0"]
        assert "./findings/bulk" in tar_names(lab.workdir() / "ar/steady/toy/letters/0/ball.tar")
        assert record(lab.workdir(), trial)["launched_at"] == launched
        assert record(lab.workdir(), trial)["reason"] is None
        assert not cache(lab.workdir()).exists()


def test_a_fuzzer_that_fills_its_cache(lab: Lab) -> None:
    with mounted(lab.workdir(), "48m"):
        ended = lab.run(lab.campaign(FUZZERS=["fills"], CACHE_ON_DISK=True, WORKER_POOL=CPUS[:1]))
        assert ended.code == 1
        assert "FAILED fills/toy/letters #0 (cache_full)" in ended.output
        assert not entries(lab.workdir())
        assert not list((lab.workdir() / "cache").glob("*"))


def test_too_little_room_is_refused_before_anything_runs(lab: Lab) -> None:
    with mounted(lab.workdir(), "8m"):
        ended = lab.run(lab.campaign(CACHE_ON_DISK=True))
        assert ended.code == 1
        assert "8.0 MiB free" in ended.output
        assert not list(lab.workdir().iterdir())


def test_tmpfs_size_that_memory_cannot_have(lab: Lab) -> None:
    ended = lab.run(lab.campaign(TMPFS_SIZE="900t"))
    assert ended.code == 1
    assert "TMPFS_SIZE asks for 900t" in ended.output
    assert "CACHE_ON_DISK: true" in ended.output
    assert not lab.workdir().exists()
