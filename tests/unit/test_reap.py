"""What dead runs left goes, what live ones hold stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from magma_remote.model.container import CPUS_LABEL, JOB_LABEL, WORKDIR_LABEL, ContainerSpec
from magma_remote.model.jobs import Job
from magma_remote.runtime.trial.cache import Shared
from magma_remote.runtime.trial.reap import reap

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.memory.quickrun import Lab

OURS = (0, 1)
JOB = Job(repeat=9, fuzzer="afl", target="libpng", program="readpng")


def container_of(lab: Lab, owner: Path, cpus: str) -> str:
    labels = {WORKDIR_LABEL: str(owner), JOB_LABEL: str(JOB), CPUS_LABEL: cpus}
    return lab.runner.create(ContainerSpec(image="x", shared=lab.shm, cpus=(), environment={}, labels=labels))


def reaped(lab: Lab) -> None:
    site = lab.site()
    reap(OURS, lab.workdir, site.cache, runner=lab.runner, guards=lab.guards, reporter=lab.reporter)


@pytest.mark.parametrize(
    ("cpus", "held", "left"),
    [
        pytest.param("0", {0, 1}, False, id="on-our-cpus"),
        pytest.param("0,1", {0, 1}, False, id="on-all-of-our-cpus"),
        pytest.param("2", {0, 1, 2}, True, id="of-a-run-that-lives"),
        pytest.param("1,2", {0, 1, 2}, True, id="half-on-ours-of-a-run-that-lives"),
        pytest.param("2,3", {0, 1}, False, id="of-a-run-that-died"),
        pytest.param("2,3", {0, 1, 3}, True, id="one-of-its-cpus-is-held"),
    ],
)
def test_containers(lab: Lab, tmp_path: Path, cpus: str, held: set[int], *, left: bool) -> None:
    lab.guards.held |= held
    found = container_of(lab, tmp_path / "wherever", cpus)
    reaped(lab)
    assert (found in lab.runner.containers) == left
    assert any(found[:12] in note for note in lab.reporter.notes) != left


def test_foreign_containers_are_left_alone(lab: Lab) -> None:
    spec = ContainerSpec(image="x", shared=lab.shm, cpus=(), environment={}, labels={"com.example": "1"})
    found = lab.runner.create(spec)
    reaped(lab)
    assert found in lab.runner.containers


def test_half_made_archives_go(lab: Lab) -> None:
    site = lab.site()
    (site.workdir.staging / "half").mkdir()
    reaped(lab)
    assert not site.workdir.staging.exists()


@pytest.mark.parametrize("complete", [True, False])
def test_caches_of_our_own(lab: Lab, *, complete: bool) -> None:
    shared = Shared(lab.site().cache.trial(JOB))
    shared.make()
    if complete:
        shared.complete.write_text("{}")
    reaped(lab)
    assert shared.path.exists() == complete
