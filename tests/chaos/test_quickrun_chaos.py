"""Signals at random moments of a whole run: its start, an image's build, trials, archives and the end.

CHAOS_ROUNDS sets how many per signal and part of the run, CHAOS_SEED repeats them; a failure names its seed.
"""

from __future__ import annotations

import os
import random
import signal
import tarfile
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.processes.quickrun import Lab, cache, entries, new_lab, record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient

    from tests.support.processes.command import Ended, Started

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "1"))
SEED = os.environ.get("CHAOS_SEED") or str(random.SystemRandom().randrange(10**6))
SOON = 10.0  # seconds in which a run ends that was told to
OWN = "rebuilt"  # a fuzzer whose images no other test has
# Part of a run: what is said when it begins (nothing: at once), and how many seconds it lasts at the most
PARTS = {"start": ("", 1.0), "build": ("Image 1 of 1", 6.0), "trials": ("4 trials to run", 5.0)}


@pytest.fixture
def lab(tmp_path: Path, docker_engine: DockerClient, base_image: str) -> Iterator[Lab]:
    """A lab of one round."""
    with new_lab(tmp_path, docker_engine) as lab:
        yield lab
        lab.remove_images(OWN)


def trials_of(fuzzer: str) -> list[str]:
    return [f"{fuzzer}/toy/letters/{run}" for run in range(4)]


def interrupted(lab: Lab, campaign: Path, number: signal.Signals, part: str, chance: random.Random) -> Started:
    """A run that got a signal at a random moment of one part; it may have ended before."""
    words, longest = PARTS[part]
    moment = chance.uniform(0, longest)
    quickrun = lab.start(campaign)
    if words:
        quickrun.await_output(words)
    print(f"CHAOS_SEED={SEED}: {number.name} {moment:.3f} s into {part}")
    time.sleep(moment)
    quickrun.signal(number)
    return quickrun


def assert_whole(workdir: Path) -> None:
    """No entry in `ar/` is half-written, and each has the log of a trial that ended."""
    for trial in entries(workdir):
        folder = workdir / "ar" / trial
        with tarfile.open(folder / "ball.tar") as tar:
            names = tar.getnames()
            assert all(tar.extractfile(member) for member in tar if member.isfile())
        assert "./canaries.raw" in names
        log = (workdir / "log" / f"{trial.replace('/', '_')}_container.log").read_text()
        assert "Campaign terminated at" in log
        assert [path.name for path in folder.iterdir()] == ["ball.tar"]


def assert_told(ended: Ended, workdir: Path, trials: list[str]) -> None:
    """Exit code 1 with every trial named, unless all of it was over or nothing had begun."""
    there = entries(workdir)
    if there == trials:
        return
    # a signal in its first moments is Python's own to tell of, before a line of ours has run
    assert "Traceback" not in ended.output or "magma_remote/" not in ended.output, ended.output
    if "4 trials to run" not in ended.output:
        assert ended.code in {1, -signal.SIGINT, -signal.SIGTERM}, ended.output
        assert not there
        return
    assert ended.code == 1, ended.output
    missing = ended.output.partition("Missing trials")[2]
    for trial in trials:
        label = " #".join(trial.rsplit("/", 1))
        assert f"Ended {label}:" in ended.output if trial in there else f"  {label}: " in missing


def finish(lab: Lab, campaign: Path, there: list[str], trials: list[str]) -> None:
    """The same command again: what is there is kept, the rest runs, nothing of the first run is left."""
    launched = {trial: record(lab.workdir(), trial.replace("/", ","))["launched_at"] for trial in there}
    ended = lab.run(campaign)
    assert ended.code == 0, ended.output
    assert entries(lab.workdir()) == trials
    assert_whole(lab.workdir())
    assert ended.output.count("Started ") == len(trials) - len(there) - ended.output.count("Archived ")
    for trial, before in launched.items():
        assert record(lab.workdir(), trial.replace("/", ","))["launched_at"] == before
    assert not lab.containers()
    assert not cache(lab.workdir()).exists()
    assert not list((lab.workdir() / "staging").iterdir())


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
@pytest.mark.parametrize("turn", range(ROUNDS))
def test_nothing_is_lost_or_left(lab: Lab, number: signal.Signals, part: str, turn: int) -> None:
    chance = random.Random(f"{SEED} {number.name} {part} {turn}")
    fuzzer = OWN if part == "build" else "steady"
    (lab.tree / "fuzzers/steady").rename(lab.tree / "fuzzers" / fuzzer)
    campaign = lab.campaign(FUZZERS=[fuzzer], REPEAT=4, TIMEOUT="1s")
    quickrun = interrupted(lab, campaign, number, part, chance)
    ended = quickrun.end(SOON)
    assert_whole(lab.workdir())
    if number is not signal.SIGKILL:
        assert not lab.containers()
        assert_told(ended, lab.workdir(), trials_of(fuzzer))
    finish(lab, campaign, entries(lab.workdir()), trials_of(fuzzer))
