"""A result on its way from a worker's folder to WORKDIR, on this machine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magma_remote.adapters.transfer_local import LocalTransfer, copy_result
from magma_remote.model.layout import Workdir
from magma_remote.runtime.dispatcher.results import MergedResults
from magma_remote.runtime.workdir.entering import execution_path, manifest_path
from tests.support.workdirs.result import JOB, RUN, a_result, contents, entry_of

if TYPE_CHECKING:
    from magma_remote.model.entries import RunEntry

TRIAL = f"ar/{JOB.fuzzer}/{JOB.target}/{JOB.program}/{JOB.repeat}"


@dataclass
class Arrival:
    """`results` brings `run` from the worker's folder by TEMP_RESULTS into WORKDIR."""

    results: MergedResults
    run: RunEntry
    expected: dict[str, Any]

    @property
    def source(self) -> Path:
        assert self.run.place
        return Path(self.run.place.folder)

    @property
    def temp(self) -> Path:
        return self.results.temp / self.source.name

    @property
    def root(self) -> Path:
        return self.results.workdir.root

    def assert_merged(self) -> None:
        found = contents(self.root)
        own = ("manifests", "executions", "merging")
        parts = {path: facts for path, facts in found.items() if path.split("/")[0] not in own}
        assert parts == self.expected
        assert manifest_path(self.results.workdir, JOB).read_bytes() == (self.source / "manifest.json").read_bytes()
        told = json.loads(execution_path(self.results.workdir, JOB).read_text())
        assert (told["run"], told["worker"], told["attempt"]) == (RUN, "w1", 1)
        assert told["manifest"] == self.run.manifest
        self.results.finish()
        assert not self.results.temp.exists()
        assert not self.results.merging.exists()


def an_arrival(here: Path, temp: Path) -> Arrival:
    run = a_result(here / "workdirs")
    workdir = Workdir(here / "workdir")
    workdir.root.mkdir()
    results = MergedResults(temp=temp / "temp", workdir=workdir, transfer=LocalTransfer(), copy=copy_result)
    assert run.place
    wanted = contents(Path(run.place.folder))
    known = ("ar", "log", "poc", "trials")
    expected = {path: facts for path, facts in wanted.items() if path.split("/")[0] in known}
    return Arrival(results, run, expected)


def second_run(arrival: Arrival) -> RunEntry:
    """Another run of the same job, fetched."""
    other = a_result(arrival.root.parent / "other", word="second")
    root = arrival.root.parent / "other/workdir_c0ffee_7-ffffff"
    assert other.place
    Path(other.place.folder).rename(root)
    run = entry_of(root, other.manifest, worker="w2")
    arrival.results.fetch(run)
    return run
