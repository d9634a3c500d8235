"""Starts real quickruns on a tree of small fuzzers that behave and misbehave (tests/data/small_fuzzers)."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from magma_remote.adapters import claims
from magma_remote.errors import BusyError
from magma_remote.model.campaign import Campaign
from magma_remote.model.container import WORKDIR_LABEL
from magma_remote.model.layout import Workdir
from magma_remote.model.units import Duration
from magma_remote.runtime.trial.cache import Cache
from tests.support.places import DATA, EXAMPLES
from tests.support.processes.command import BUSY, Ended, Started, start
from tests.support.waiting import DEADLINE, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from docker import DockerClient
    from docker.models.containers import Container

SMALL = DATA / "small_fuzzers"
CPUS = sorted(os.sched_getaffinity(0))[:2]


@dataclass(frozen=True, kw_only=True)
class Lab:
    """A folder with a Magma tree, campaign files and WORKDIRs."""

    folder: Path
    engine: DockerClient
    started: list[Started] = field(default_factory=list)

    @property
    def tree(self) -> Path:
        """The Magma tree."""
        return self.folder / "magma"

    def workdir(self, name: str = "workdir") -> Path:
        """Where a campaign's results go."""
        return self.folder / name

    def campaign(self, name: str = "campaign", **settings: Any) -> Path:
        """A campaign file: one 2 s trial of `steady` on two CPUs but for what is set."""
        fuzzers = settings.get("FUZZERS", ["steady"])
        defaults = {
            "REPEAT": 1,
            "FUZZERS": fuzzers,
            "TARGETS": ["toy"],
            "PROGRAMS": {fuzzer: ["letters"] for fuzzer in fuzzers},
            "WORKER_POOL": CPUS,
            "TIMEOUT": "2s",
            "POLL": 1,
            "MAGMA": str(self.tree),
        }
        values = {key: value for key, value in (defaults | settings).items() if value is not None}
        file = self.folder / f"{name}.hjson"
        file.write_text(json.dumps(values, indent=1))
        return file

    def start(self, campaign: Path, workdir: Path | None = None, **popen: Any) -> Started:
        """Start a quickrun as soon as nobody else on this machine has the CPUs."""
        workdir = workdir or self.workdir()
        await_cpus()
        return self.start_now(campaign, workdir, **popen)

    def start_now(self, campaign: Path, workdir: Path, *, before: Sequence[str] = (), **popen: Any) -> Started:
        """Start a quickrun, whoever has the CPUs; `before` is a command that starts it."""
        log = self.folder / f"output-{len(self.started)}.txt"
        process = start(log, "quickrun", str(campaign), "--workdir", str(workdir), before=before, **popen)
        self.started.append(Started(process=process, log=log, workdir=workdir))
        return self.started[-1]

    def run(self, campaign: Path, workdir: Path | None = None) -> Ended:
        """Run to the end; once more where somebody else was faster to take the CPUs."""
        ended = self.start(campaign, workdir).end()
        while ended.code == 1 and BUSY in ended.output and str(self.folder) not in ended.output:
            ended = self.start(campaign, workdir).end()
        assert "Traceback" not in ended.output
        return ended

    def containers(self, workdir: Path | None = None, *, running: bool = False) -> list[Container]:
        """Containers of a WORKDIR's trials."""
        label = f"{WORKDIR_LABEL}={(workdir or self.workdir()).resolve()}"
        return list(self.engine.containers.list(all=not running, filters={"label": label}, ignore_removed=True))

    def await_running(self, count: int) -> list[Container]:
        """Wait until this many trials run."""
        until(lambda: len(self.containers(running=True)) >= count)
        return self.containers(running=True)

    def close(self) -> None:
        """End what still runs and remove its containers and caches."""
        for quickrun in self.started:
            quickrun.kill()
            for container in self.containers(quickrun.workdir):
                container.remove(force=True)
            shutil.rmtree(cache(quickrun.workdir), ignore_errors=True)

    def remove_images(self, fuzzer: str) -> None:
        """Remove the images of a fuzzer that only this lab has."""
        for image in self.engine.images.list(name=f"magma/{fuzzer}/toy"):
            for tag in image.tags:
                self.engine.images.remove(tag)


def cache(workdir: Path) -> Path:
    """The folder in memory that holds SHARED of a WORKDIR's running trials."""
    plain = Campaign(repeat=1, fuzzers=(), targets=(), timeout=Duration.parse("1s"))
    return Cache.of(plain, Workdir(workdir.resolve())).root


@contextmanager
def new_lab(folder: Path, engine: DockerClient) -> Iterator[Lab]:
    """A lab with a tree of its own in an empty folder; nothing of it runs afterwards."""
    lab = Lab(folder=folder, engine=engine)
    make_tree(lab.tree)
    try:
        yield lab
    finally:
        lab.close()


def make_tree(root: Path) -> None:
    """The demo's Dockerfile and support files with the fuzzers and the target of tests/data/small_fuzzers."""
    for part in ("docker", "magma"):
        shutil.copytree(EXAMPLES / "magma" / part, root / part)
    for fuzzer in sorted((SMALL / "fuzzers").iterdir()):
        shutil.copytree(SMALL / "fuzzers" / "steady", root / "fuzzers" / fuzzer.name)
        shutil.copytree(fuzzer, root / "fuzzers" / fuzzer.name, dirs_exist_ok=True)
    shutil.copytree(SMALL / "targets", root / "targets")


def tar_names(tarball: Path) -> list[str]:
    """Names in a tar file, which is read to its end."""
    with tarfile.open(tarball) as tar:
        return tar.getnames()


def entries(workdir: Path) -> list[str]:
    """`FUZZER/TARGET/PROGRAM/RUN` of all trials in `ar/`."""
    return sorted(path.relative_to(workdir / "ar").as_posix() for path in (workdir / "ar").glob("*/*/*/*"))


def record(workdir: Path, trial: str) -> dict[str, Any]:
    """The facts of a trial, named `F,T,P,RUN`."""
    value: dict[str, Any] = json.loads((workdir / "trials" / f"{trial}.json").read_text())
    return value


def await_cpus() -> None:
    """Other runs on this machine, such as a developer's own, hold CPUs too: wait for them."""
    end = time.monotonic() + DEADLINE
    while True:
        try:
            with claims.cpu_claims(CPUS, owner="tests that are about to start"):
                return
        except BusyError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
