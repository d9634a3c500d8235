"""Real dispatchers and workers on this machine: a beanstalkd, the tree of small fuzzers, settings files, processes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magma_remote.model.container import WORKDIR_LABEL
from tests.support.processes.command import BUSY, COMMAND, Ended, Started, start
from tests.support.processes.quickrun import CPUS, Lab, await_cpus, cache, entries, make_tree
from tests.support.servers.beanstalkd import Beanstalkd
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from docker import DockerClient
    from docker.models.containers import Container

DISPATCHER = "dispatcher"
LEAVE_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Program(Started):
    """A dispatcher or a worker; `workdir` is its WORKDIR or WORKDIRS."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """All lies in the lab's folder: NAME.hjson, NAME-workdir (NAME-workdirs) and the output of each start of NAME.

    A name that is started again goes on in the same folders with settings that are written anew.
    """

    lab: Lab
    server: Beanstalkd
    started: list[Program] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where all of it lies."""
        return self.lab.folder

    def campaign(self, name: str = "campaign", **settings: Any) -> Path:
        """A campaign file: four 2 s trials of `steady` on whatever CPUs a worker has but for what is set."""
        return self.lab.campaign(name, **({"REPEAT": 4, "WORKER_POOL": None} | settings))

    def workdir(self, name: str = DISPATCHER) -> Path:
        """Where a dispatcher puts the results."""
        return self.folder / f"{name}-workdir"

    def workdirs(self, name: str) -> Path:
        """WORKDIRS of a worker."""
        return self.folder / f"{name}-workdirs"

    def dispatcher_settings(self, name: str = DISPATCHER, **settings: Any) -> Path:
        """Write a dispatcher's settings."""
        defaults = {
            "TEMP_RESULTS": f"{name}-temp",
            "WORKDIR": self.workdir(name).name,
            "COPY_TYPE": "rsync",
            "QUEUE": self.server.address,
        }
        return self._write(name, defaults | settings)

    def worker_settings(self, name: str, **settings: Any) -> Path:
        """Write a worker's settings."""
        defaults = {
            "NAME": name,
            "WORKDIRS": self.workdirs(name).name,
            "KEEP_WORKDIRS": 0,
            "DISPATCHER_IP": "127.0.0.1",
            "WORKER_IP": "127.0.0.1",
            "QUEUE": self.server.address,
            "MAGMA": str(self.lab.tree),
        }
        return self._write(name, defaults | settings)

    def start_dispatcher(
        self,
        campaign: Path | None = None,
        *arguments: str,
        name: str = DISPATCHER,
        before: Sequence[str] = (),
        **settings: Any,
    ) -> Program:
        """Start `magma-remote dispatch`; `before` is a command that starts it."""
        file = self.dispatcher_settings(name, **settings)
        words = ("dispatch", str(campaign or self.campaign()), "--settings", str(file), *arguments)
        return self._start(name, self.workdir(name), words, before)

    def start_worker(self, name: str, *cpus: int, before: Sequence[str] = (), **settings: Any) -> Program:
        """Start `magma-remote worker` with these CPUs, all without any; `before` is a command that starts it."""
        file = self.worker_settings(name, **settings)
        pinned = ("taskset", "-c", ",".join(map(str, cpus or CPUS)))
        words = ("worker", "--settings", str(file))
        return self._start(name, self.workdirs(name), words, (*pinned, *before))

    def start_workers(self, **settings: Any) -> list[Program]:
        """Two workers, w0 and w1, each with one CPU."""
        return [self.start_worker(f"w{index}", cpu, **settings) for index, cpu in enumerate(CPUS)]

    def program(self, name: str = DISPATCHER) -> Program:
        """The last that was started by this name."""
        return next(program for program in reversed(self.started) if program.name == name)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a dispatcher or worker; after SIGKILL it is waited for."""
        program = self.program(name)
        program.signal(number)
        if number is signal.SIGKILL:
            program.process.wait()

    def wait_for_end(self, name: str = DISPATCHER) -> Ended:
        """Wait for the end of a dispatcher."""
        ended = self.program(name).end()
        assert "Traceback" not in ended.output, ended.output
        return ended

    def call(self, command: str, *arguments: str, name: str = DISPATCHER) -> Ended:
        """Run a command beside a dispatcher: `status`, `graveyard list` and so on."""
        words = [COMMAND, *command.split(), *arguments, "--settings", str(self.folder / f"{name}.hjson")]
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False
        )
        return Ended(code=done.returncode, output=done.stdout.decode(errors="replace"))

    def status(self, name: str = DISPATCHER) -> dict[str, Any]:
        """What `status --json` says; empty as long as there is no campaign."""
        ended = self.call("status", "--json", name=name)
        if ended.code == 2 and "no campaign" in ended.output:
            return {}
        assert ended.code == 0, ended.output
        found: dict[str, Any] = json.loads(ended.output)
        return found

    def await_count(self, state: str, count: int) -> None:
        """Wait until at least so many jobs are in a state."""
        until(lambda: self.status().get("counts", {}).get(state, 0) >= count)

    def entries(self, name: str = DISPATCHER) -> list[str]:
        """`FUZZER/TARGET/PROGRAM/RUN` of all trials in a WORKDIR's `ar/`."""
        return entries(self.workdir(name))

    def containers(self, name: str, *, running: bool = False) -> list[Container]:
        """Containers of a worker: each is labelled with the folder of its run."""
        found = self.lab.engine.containers.list(all=not running, filters={"label": WORKDIR_LABEL}, ignore_removed=True)
        root = self.workdirs(name).resolve()
        return [container for container in found if Path(container.labels[WORKDIR_LABEL]).is_relative_to(root)]

    def await_running(self, name: str) -> list[Container]:
        """Wait until a container of a worker runs."""
        until(lambda: self.containers(name, running=True))
        return self.containers(name, running=True)

    def run_folders(self, name: str) -> list[Path]:
        """The folders of runs that a worker has."""
        return sorted(self.workdirs(name).glob("workdir_*"))

    def assert_nothing_is_left(self) -> None:
        """No container, cache or fetched folder of anybody, and no message of a job."""
        for program in self.started:
            assert not self.containers(program.name), program.output
            assert not any(path.is_dir() for path in cache(program.workdir).glob("*")), program.output
            assert not (self.folder / f"{program.name}-temp").exists()
        queue = self.server.queue()
        try:
            until(lambda: queue.tube_stats("jobs").total == 0, LEAVE_SECONDS)  # a worker deletes what it has stopped
        finally:
            queue.close()

    @property
    def disturbed(self) -> bool:
        """Whether others on this machine, such as a developer's own runs, had CPUs that a worker wanted."""
        lines = (line for program in self.started for line in program.output.splitlines() if BUSY in line)
        return any(str(self.folder) not in line.partition(BUSY)[2] for line in lines)

    def close(self) -> None:
        """End what still runs and remove its containers and caches."""
        for program in self.started:
            program.kill()
        for program in self.started:
            for container in self.containers(program.name):
                container.remove(force=True)
            shutil.rmtree(cache(program.workdir), ignore_errors=True)

    def _write(self, name: str, values: dict[str, Any]) -> Path:
        file = self.folder / f"{name}.hjson"
        file.write_text(json.dumps({key: value for key, value in values.items() if value is not None}, indent=1))
        return file

    def _start(self, name: str, workdir: Path, words: Sequence[str], before: Sequence[str]) -> Program:
        log = self.folder / f"{name}-output-{len(self.started)}.txt"
        process = start(log, *words, before=before)
        self.started.append(Program(process=process, log=log, workdir=workdir, name=name))
        return self.started[-1]


@contextmanager
def new_cluster(folder: Path, engine: DockerClient) -> Iterator[Cluster]:
    """A cluster in an empty folder; nothing of it runs afterwards. It waits until nobody else has the CPUs."""
    make_tree(folder / "magma")
    await_cpus()
    with Beanstalkd(folder / "queue") as server:
        cluster = Cluster(lab=Lab(folder=folder, engine=engine), server=server)
        try:
            yield cluster
        finally:
            cluster.close()
