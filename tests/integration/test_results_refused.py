"""Results that do not enter WORKDIR: of another shape, job or run."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from magma_remote.errors import CorruptError
from magma_remote.runtime.workdir.manifest import write_manifest
from tests.support.workdirs.arrival import TRIAL, Arrival, second_run
from tests.support.workdirs.result import JOB, contents, entry_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(lambda root: (root / TRIAL / "out").symlink_to("../../.."), "link", id="link of a trial"),
        pytest.param(lambda root: (root / "log/link").symlink_to("x"), "no part", id="link in log"),
        pytest.param(lambda root: (root / "ledger.sqlite").touch(), "no part", id="file at the top"),
        pytest.param(lambda root: (root / "staging/x").touch(), "no part", id="file in staging"),
        pytest.param(lambda root: (root / "trials/.x").touch(), "no part", id="hidden record"),
        pytest.param(lambda root: (root / f"{TRIAL[:-1]}4").mkdir(), "2 trials", id="two trials"),
        pytest.param(lambda root: shutil.rmtree(root / TRIAL), "0 trials", id="no trial"),
    ],
)
def test_a_folder_of_another_shape_is_refused(arrival: Arrival, change: Callable[[Path], object], told: str) -> None:
    change(arrival.source)
    run = entry_of(arrival.source, write_manifest(arrival.source))
    with pytest.raises(CorruptError, match=told):
        arrival.results.fetch(run)
    assert list(arrival.results.temp.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda root: (root / "log/other_lib_build_1.log").touch(), id="a build of others"),
        pytest.param(lambda root: (root / "poc/other_lib_x_A.1").touch(), id="a case of others"),
        pytest.param(lambda root: (root / "trials/other,lib,x,0.json").touch(), id="a record of others"),
        pytest.param(lambda root: next((root / "trials").iterdir()).unlink(), id="no record"),
    ],
)
def test_files_of_another_job_do_not_enter(arrival: Arrival, change: Callable[[Path], object]) -> None:
    change(arrival.source)
    run = entry_of(arrival.source, write_manifest(arrival.source))
    arrival.results.fetch(run)
    before = contents(arrival.root)
    with pytest.raises(CorruptError, match="the result of run"):
        arrival.results.merge(run, JOB)
    assert {path for path in contents(arrival.root) if not path.startswith("merging")} == set(before)


def test_another_jobs_result_does_not_enter(arrival: Arrival) -> None:
    arrival.results.fetch(arrival.run)
    with pytest.raises(CorruptError, match="is not that of"):
        arrival.results.merge(arrival.run, replace(JOB, repeat=4))
    arrival.results.merge(arrival.run, JOB)
    arrival.assert_merged()


def test_another_runs_result_is_never_overwritten(arrival: Arrival) -> None:
    arrival.results.fetch(arrival.run)
    arrival.results.merge(arrival.run, JOB)
    late = second_run(arrival)
    with pytest.raises(CorruptError, match="from another run"):
        arrival.results.merge(late, JOB)
    arrival.results.discard(late)
    arrival.assert_merged()


def test_what_is_not_ours_is_never_overwritten(arrival: Arrival) -> None:
    (arrival.root / TRIAL).mkdir(parents=True)
    (arrival.root / TRIAL / "ball.tar").write_text("somebody's")
    arrival.results.fetch(arrival.run)
    with pytest.raises(CorruptError, match="from another run"):
        arrival.results.merge(arrival.run, JOB)
    assert (arrival.root / TRIAL / "ball.tar").read_text() == "somebody's"


def test_a_result_that_is_nowhere_is_told(arrival: Arrival) -> None:
    with pytest.raises(CorruptError, match="is gone"):
        arrival.results.merge(arrival.run, JOB)


@pytest.mark.parametrize("name", ["workdir_c0ffee_8-0a1b2c", "..", "."])
def test_a_folder_that_is_not_the_runs_is_refused(arrival: Arrival, name: str) -> None:
    assert arrival.run.place
    run = replace(arrival.run, place=replace(arrival.run.place, folder=f"{arrival.source.parent}/{name}"))
    for act in (arrival.results.fetch, arrival.results.discard, lambda it: arrival.results.merge(it, JOB)):
        with pytest.raises(CorruptError, match="cannot be in a folder"):
            act(run)
