"""Whatever dies or freezes, and when: each job ends once, in WORKDIR or as dead with a reason, and nothing is left.

CHAOS_ROUNDS sets how many campaigns meet random faults, CHAOS_SEED repeats them; a failure names its seed.
"""

from __future__ import annotations

import os
import random
import signal
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.model.entries import JobState
from tests.chaos.faults import FAULTS, Faults
from tests.chaos.verdict import Engine, assert_clean, assert_told, assert_whole, jobs, leave
from tests.support.processes.cluster import new_cluster
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient

    from tests.support.processes.cluster import Cluster

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "2"))
SEED = os.environ.get("CHAOS_SEED") or str(random.SystemRandom().randrange(10**6))
LONGEST = 240.0  # seconds for a campaign of some twenty that everything befalls
WITH_FAILURES: dict[str, Any] = {"FUZZERS": ["steady", "finds", "early"], "REPEAT": 3}
SPAN = 18.0  # seconds in which faults begin


@pytest.fixture
def cluster(tmp_path: Path, docker_engine: DockerClient, base_image: str) -> Iterator[Cluster]:
    with new_cluster(tmp_path, docker_engine) as cluster:
        yield cluster


@pytest.fixture
def engine(cluster: Cluster) -> Iterator[Engine]:
    """What the engine says of containers, from before the first to after the last."""
    with Engine(cluster.folder) as engine:
        yield engine


def begin(cluster: Cluster, **campaign: Any) -> Faults:
    """A campaign of trials that succeed; those of `early` cannot."""
    trials: dict[str, Any] = {"FUZZERS": ["steady", "finds"], "REPEAT": 5}
    cluster.campaign(**(trials | campaign))
    faults = Faults(cluster)
    faults.start("dispatcher")
    for name in ("w0", "w1"):
        faults.start(name)
    return faults


def finish(cluster: Cluster, engine: Engine, faults: Faults) -> None:
    """Wait for the end and hold all against all; the same command once more has nothing to add."""
    ended = faults.end(LONGEST)
    assert_told(cluster, ended)
    assert_whole(cluster)
    faults.start("dispatcher")
    again = faults.end(LONGEST)
    assert (again.code, again.lines[-1]) == (ended.code, ended.lines[-1])
    assert_clean(cluster)
    for name in ("w0", "w1"):
        leave(cluster, name)
    assert_clean(cluster)
    engine.assert_no_cpu_was_shared(cluster)


def test_undisturbed(cluster: Cluster, engine: Engine) -> None:
    finish(cluster, engine, begin(cluster, **WITH_FAILURES))
    expected = {"steady": JobState.DONE, "finds": JobState.DONE, "early": JobState.DEAD}
    assert all(entry.state is expected[entry.job.fuzzer] for entry in jobs(cluster))
    assert all(entry.attempts == (3 if entry.state is JobState.DEAD else 1) for entry in jobs(cluster))


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_faults(cluster: Cluster, engine: Engine, turn: int) -> None:
    chance = random.Random(f"{SEED} {turn}")
    print(f"CHAOS_SEED={SEED}")
    faults = begin(cluster, **(WITH_FAILURES if chance.random() < 0.3 else {}))
    faults.draw(chance, chance.choices(list(FAULTS), k=chance.randint(1, 8)), SPAN)
    faults.happen()
    finish(cluster, engine, faults)


@pytest.mark.parametrize("repeat", [2, 10], ids=["thaws after the end", "thaws before the end"])
def test_jobs_of_a_frozen_worker_run_elsewhere(cluster: Cluster, engine: Engine, repeat: int) -> None:
    faults = begin(cluster, FUZZERS=["steady"], REPEAT=repeat, TIMEOUT="3s")
    for name in ("w0", "w1"):
        cluster.await_running(name)
    frozen = cluster.program("w0")
    frozen.signal(signal.SIGSTOP)
    if repeat == 2:
        ended = faults.end(LONGEST)
        assert_told(cluster, ended)
        assert_whole(cluster)
        assert [entry.state for entry in jobs(cluster)] == [JobState.DONE] * repeat
        frozen.signal(signal.SIGCONT)
    else:
        cluster.program().await_output("w0 was not heard")
        frozen.signal(signal.SIGCONT)
        until(lambda: frozen.output.count("starts on") > 1)
    finish(cluster, engine, faults)
