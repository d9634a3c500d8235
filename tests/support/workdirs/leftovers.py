"""Results on workers that nobody told the dispatcher of, and a ledger that has lost sight of them."""

from __future__ import annotations

import getpass
import json
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.model.entries import CampaignEntry, JobEntry, JobState, RunEntry, RunState, WorkerEntry
from magma_remote.model.heartbeat import Heartbeat, WorkerState
from magma_remote.model.jobs import Job
from magma_remote.model.messages import Place
from magma_remote.ports import Assignment, Kept, RunEnded
from magma_remote.runtime.station.folders import Folders
from magma_remote.runtime.workdir.manifest import write_manifest
from tests.conftest import missing
from tests.support.commands import call
from tests.support.servers.ports import LOOPBACK
from tests.support.servers.sshd import ssh_server
from tests.support.workdirs.result import fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers.sshd import SshServer

CONFIG = "c0ffee"
_RRSYNC = "/usr/bin/rrsync"
_SERVE = """#!/bin/sh
# as a worker's: nothing but reading WORKDIRS with rsync, below rrsync's own root
SSH_ORIGINAL_COMMAND=$(printf %s "$SSH_ORIGINAL_COMMAND" | sed 's|^chrt --idle 0 ||; s| {workdirs}/| /|')
export SSH_ORIGINAL_COMMAND
exec {rrsync} -ro '{workdirs}'
"""


@dataclass(frozen=True, kw_only=True)
class Worker:
    """WORKDIRS of a worker whose service does not run."""

    workdirs: Path
    token: str
    config_id: str = CONFIG

    @property
    def place(self) -> Place:
        return Place(folder="", workdirs=str(self.workdirs), token=self.token, host="192.0.2.9", port=22, user="old")

    @property
    def folders(self) -> Folders:
        return Folders(self.workdirs, self.place)

    def open(self, *, token: str = "") -> None:
        """Make WORKDIRS; another token in it than results tell looks like another machine's."""
        self.folders.open()
        (self.workdirs / "worker.json").write_text(json.dumps({"version": 1, "worker": token or self.token}))

    def result(self, number: int, job: Job) -> Path:
        """Leave a complete result with its mark; the folder."""
        run = f"{number}-{self.token}"
        workdir = self.folders.workdir(self.config_id, run)
        fill(workdir, job, 1 << 10, run)
        ended = RunEnded(
            run=run,
            reason=None,
            place=self.folders.place(self.config_id, run),
            manifest=write_manifest(workdir.root),
            started_at=1.0,
            reached=("AAH001",),
        )
        assignment = Assignment(config_id=self.config_id, run=run, number=number, attempt=1, job=job, cpus=(0,))
        self.folders.mark(Kept(assignment=assignment, ended=ended))
        return workdir.root

    def mark(self, number: int) -> Path:
        return self.workdirs / "runs" / f"{number}-{self.token}.json"


@dataclass(frozen=True, kw_only=True)
class Host:
    """A dispatcher's folder: its settings, WORKDIR and ledger."""

    folder: Path

    @property
    def workdir(self) -> Path:
        return self.folder / "workdir"

    def settings(self, **more: Any) -> None:
        values = {"TEMP_RESULTS": "temp", "WORKDIR": "workdir", "COPY_TYPE": "rsync", "QUEUE": "/nowhere/queue.sock"}
        (self.folder / "dispatcher.hjson").write_text(json.dumps(values | more))

    def begin(self, jobs: int, **campaign: Any) -> list[Job]:
        """A campaign whose jobs all ran on worker `aa`, which was lost with them."""
        self.workdir.mkdir()
        every = [Job(repeat=number, fuzzer="afl", target="libpng", program="readpng") for number in range(jobs)]
        entry = CampaignEntry(
            config_id=CONFIG, source="c.hjson", text="{}", tree="00", since=0.0, timeout=5.0, max_attempts=3
        )
        with closing(SqliteLedger(self.workdir / "ledger.sqlite")) as ledger, ledger.transaction():
            ledger.save_campaign(replace(entry, **campaign))
            ledger.add_jobs(JobEntry(number=n, job=job, attempts=1) for n, job in enumerate(every))
            for number in range(jobs):
                run = RunEntry(
                    run=f"{number}-aa", number=number, attempt=1, worker="aa", state=RunState.LOST, manifest=""
                )
                ledger.save_run(run)
        return every

    def hear(self, worker: str, *, lost: bool) -> None:
        """A worker that the dispatcher has heard of."""
        beat = Heartbeat(
            config_id=CONFIG, worker=worker, name=f"w-{worker}", host=LOOPBACK, state=WorkerState.READY, at=1.0
        )
        with closing(SqliteLedger(self.workdir / "ledger.sqlite")) as ledger:
            ledger.save_worker(WorkerEntry(worker=worker, heartbeat=beat, heard_at=1.0, lost=lost))

    def change(self, number: int, **values: Any) -> None:
        with closing(SqliteLedger(self.workdir / "ledger.sqlite")) as ledger:
            entry = ledger.job(number)
            assert entry
            ledger.save_job(replace(entry, **values))

    def known(self) -> tuple[CampaignEntry | None, list[JobEntry], tuple[RunEntry, ...]]:
        """All that the ledger says."""
        with closing(SqliteLedger.open_existing(self.workdir / "ledger.sqlite")) as ledger:
            return ledger.campaign(), list(ledger.jobs()), ledger.runs()

    def states(self) -> list[JobState]:
        return [entry.state for entry in self.known()[1]]

    def collect(self, *workers: str, code: int = 0) -> dict[str, Any]:
        """`collect --json` with these workers."""
        words = [word for worker in workers for word in ("--worker", worker)]
        settings = str(self.folder / "dispatcher.hjson")
        found: dict[str, Any] = json.loads(call("collect", "--json", "--settings", settings, *words, code=code).stdout)
        return found


@contextmanager
def far(worker: Worker, host: Host, *, only_rrsync: bool = False, **settings: str) -> Iterator[tuple[str, SshServer]]:
    """The worker behind an sshd of its own, and how it is named; nothing tells that it is this machine."""
    worker.open(token="another")
    keys = host.folder / "ssh"
    keys.mkdir()
    extra = ""
    if only_rrsync:
        if not Path(_RRSYNC).exists():
            missing("no rrsync (rsync)")
        serve = keys / "serve"
        serve.write_text(_SERVE.format(workdirs=worker.workdirs, rrsync=_RRSYNC))
        serve.chmod(0o755)
        extra = f'ForceCommand "{serve}"'
    with ssh_server(keys, extra=extra) as server:
        host.settings(SSH_KEY=str(server.key), SSH_KNOWN_HOSTS=str(server.known_hosts), **settings)
        yield f"{getpass.getuser()}@{LOOPBACK}:{server.port}:{worker.workdirs}", server
