"""Holds a campaign's ledger, its WORKDIR, what the dispatcher said and what the engine saw against one another."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import tarfile
from collections import defaultdict
from contextlib import closing
from typing import TYPE_CHECKING, Self

from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.model.container import CPUS_LABEL, WORKDIR_LABEL
from magma_remote.model.entries import CampaignState, JobState, RunState
from magma_remote.model.layout import Workdir, trial_key
from magma_remote.runtime.workdir.entering import execution_path, is_entered, manifest_path
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from magma_remote.model.entries import JobEntry
    from magma_remote.ports import Ledger
    from tests.support.processes.cluster import Cluster
    from tests.support.processes.command import Ended

WORKERS = ("w0", "w1")
LEAVES = 10.0  # seconds in which a worker leaves
HEARS = 40.0  # seconds in which all workers have heard of the end and cleared


def ledger_of(cluster: Cluster) -> closing[SqliteLedger]:
    return closing(SqliteLedger.open_existing(cluster.workdir() / "ledger.sqlite"))


def jobs(cluster: Cluster) -> list[JobEntry]:
    """All jobs of the ledger."""
    with ledger_of(cluster) as ledger:
        return list(ledger.jobs())


def assert_told(cluster: Cluster, ended: Ended) -> None:
    """Exit code and output are what the ledger says."""
    assert "Traceback" not in ended.output, ended.output
    entries = jobs(cluster)
    dead = [entry for entry in entries if entry.state is JobState.DEAD]
    assert ended.code == (1 if dead else 0), ended.output
    assert f"Ended: {len(entries) - len(dead)} of {len(entries)} trials are in {cluster.workdir()}" in ended.output
    missing = [line for line in ended.lines if line.startswith("  missing: ")]
    assert len(missing) == len(dead), ended.output
    for entry, line in zip(dead, missing, strict=True):
        assert entry.reason
        assert line.startswith(f"  missing: {entry.job}  ({entry.reason.value}: "), line


def assert_whole(cluster: Cluster) -> None:
    """Each job has ended exactly once; WORKDIR holds the results of those that are done, whole, and nothing else."""
    workdir = Workdir(cluster.workdir())
    with ledger_of(cluster) as ledger:
        campaign = ledger.campaign()
        assert campaign
        assert campaign.state is CampaignState.ENDED
        done = [entry for entry in ledger.jobs() if _ended(ledger, workdir, entry)]
    expected = sorted(trial_key(entry.job) for entry in done)
    assert [trial.replace("/", ",") for trial in cluster.entries()] == expected
    for folder in (workdir.records, workdir.root / "manifests", workdir.root / "executions"):
        assert sorted(path.stem for path in folder.glob("*")) == expected
    assert not (workdir.root / "merging").exists()


def _ended(ledger: Ledger, workdir: Workdir, entry: JobEntry) -> bool:
    """Whether a job is done; AssertionError where it is neither that nor dead with a reason."""
    kept = ledger.runs(RunState.KEPT, number=entry.number)
    if entry.state is JobState.DEAD:
        assert entry.reason, entry
        assert not kept, entry
        return False
    assert entry.state is JobState.DONE, entry
    (run,) = kept
    assert run.run == entry.run
    assert is_entered(workdir, run, entry.job)
    assert json.loads(execution_path(workdir, entry.job).read_text())["run"] == entry.run
    _verify(workdir, entry)
    return True


def _verify(workdir: Workdir, entry: JobEntry) -> None:
    """The entry in `ar/` and the record are what the worker listed; the tarball can be read to its end."""
    own = {workdir.entry(entry.job), workdir.record(entry.job), workdir.container_log(entry.job)}
    listed = json.loads(manifest_path(workdir, entry.job).read_text())["entries"]
    paths = {workdir.root / item["path"]: item for item in listed}
    assert own <= paths.keys()
    for path, item in paths.items():
        if item.get("sha256") and (path in own or path.is_relative_to(workdir.entry(entry.job))):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == item["sha256"], path
    with tarfile.open(workdir.entry(entry.job) / "ball.tar") as tar:
        assert "./canaries.raw" in tar.getnames()
    assert "Campaign terminated at" in workdir.container_log(entry.job).read_text()


def assert_clean(cluster: Cluster) -> None:
    """No container, cache or folder of a run is left once the workers have heard of the end.

    Where trials are missing, a whole result that nobody has taken may be wanted yet, and stays.
    """
    missing = any(entry.state is JobState.DEAD for entry in jobs(cluster))
    until(lambda: not any(_is_left(folder, missing=missing) for folder in _folders(cluster)), deadline=HEARS)
    cluster.assert_nothing_is_left()


def _folders(cluster: Cluster) -> list[Path]:
    return [folder for name in WORKERS for folder in cluster.run_folders(name)]


def _is_left(folder: Path, *, missing: bool) -> bool:
    """Whether a run's folder should not be there."""
    mark = folder.parent / "runs" / f"{folder.name.rpartition('_')[2]}.json"
    return not (missing and mark.exists())


def leave(cluster: Cluster, name: str) -> None:
    """A worker that is told to leaves at once."""
    program = cluster.program(name)
    program.signal(signal.SIGTERM)
    ended = program.end(LEAVES)
    assert ended.code == 0, ended.output
    for started in cluster.started:
        assert "Traceback" not in started.output, started.output


class Engine:
    """Listens to what the engine tells of containers that start and end."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "engine.jsonl"

    def __enter__(self) -> Self:
        events = ["/usr/bin/docker", "events", "--format", "{{json .}}", "--filter", f"label={WORKDIR_LABEL}"]
        with self._path.open("wb") as output:
            self._process = subprocess.Popen(
                [*events, "--filter", "event=start", "--filter", "event=die"], stdin=subprocess.DEVNULL, stdout=output
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def assert_no_cpu_was_shared(self, cluster: Cluster) -> None:
        """No two containers of this cluster ever had one CPU at the same time."""
        held: dict[str, str] = {}
        seen: defaultdict[str, int] = defaultdict(int)
        for line in self._path.read_text().splitlines():
            event = json.loads(line)
            labels, name = event["Actor"]["Attributes"], event["Actor"]["ID"]
            if not labels[WORKDIR_LABEL].startswith(f"{cluster.folder}/"):
                continue
            for cpu in labels[CPUS_LABEL].split(","):
                if event["Action"] == "start":
                    assert cpu not in held, f"CPU {cpu} of {held[cpu]} was given to {name}"
                    held[cpu] = name
                    seen[cpu] += 1
                else:
                    assert held.pop(cpu) == name
        assert not held
        assert seen, "the engine told nothing"
