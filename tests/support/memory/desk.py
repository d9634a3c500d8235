"""A WORKDIR as quickrun leaves it, on a machine in memory, to extract PoCs of."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from magma_remote.adapters.magma_tree import read_tree
from magma_remote.adapters.memory_container import Script
from magma_remote.adapters.memory_guards import MemoryGuards
from magma_remote.adapters.memory_reporter import MemoryReporter
from magma_remote.adapters.memory_runner import MemoryRunner
from magma_remote.model.campaign import Campaign
from magma_remote.model.container import JOB_LABEL
from magma_remote.model.pocs import Ended, trial_text
from magma_remote.model.units import Duration
from magma_remote.runtime.extracting.known import background
from magma_remote.runtime.extracting.tasks import Build
from magma_remote.runtime.extracting.workdir import ExtractOrder, ExtractOutside, Extracts, extract_workdir
from magma_remote.runtime.images.images import Owner
from tests.support.workdirs.merged import Merged, a_ball

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from magma_remote.model.container import ContainerSpec
    from magma_remote.model.experiment import Trial
    from magma_remote.model.pinned import PinnedImage
    from magma_remote.ports import Registry

FIRST: Trial = ("afl", "libpng", "readpng", 0)
SECOND: Trial = ("afl", "libpng", "readpng", 1)
OTHER: Trial = ("honggfuzz", "libpng", "readpng", 0)
TRIALS = [FIRST, SECOND, OTHER]
AFL, HONGG = "sha256:afl", "sha256:hongg"


class Reporter(MemoryReporter):
    """Remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.plans_made: list[tuple[int, int, int]] = []
        self.ends: list[Ended] = []

    def extracting(self, *, trials: int, kept: int, slots: int) -> None:
        self.plans_made.append((trials, kept, slots))

    def extracted(self, ended: Ended) -> None:
        self.ends.append(ended)

    def progress(self, running: Sequence[Trial], *, done: int, total: int, left: float | None) -> None:
        assert done + len(running) <= total
        assert (left is None) == (done == 0)


def said(*cases: tuple[str, str], findings: int | None = None) -> Script:
    """A container whose trial has these crashing cases: their names below findings/, and what runonce.sh says."""
    pairs = "".join(f"/magma_shared/findings/{name}\0{text}\0" for name, text in cases)
    count = len(cases) if findings is None else findings
    return Script(scripts={"findings.sh": (f"{pairs}\0{count}\0".encode(),)})


@dataclass
class Desk:
    """A WORKDIR as quickrun leaves it, on a machine in memory with two CPUs."""

    merged: Merged
    scripts: dict[str, Script] = field(default_factory=dict)
    guards: MemoryGuards = field(default_factory=MemoryGuards)
    reporter: Reporter = field(default_factory=Reporter)
    registry: Registry | None = None
    build: Build | None = None
    pins: dict[tuple[str, str], PinnedImage] = field(default_factory=dict)
    cpus: frozenset[int] = frozenset({0, 1})
    script: Script = field(default_factory=said)

    def __post_init__(self) -> None:
        self.runner = MemoryRunner(self._script)
        self.runner.built.update({"d1": AFL, "d2": HONGG})
        for trial in TRIALS:
            self.add(trial)

    def _script(self, spec: ContainerSpec) -> Script:
        return self.scripts.get(
            spec.labels[JOB_LABEL].split(",")[1] + spec.labels[JOB_LABEL].split(",")[0], self.script
        )

    def add(self, trial: Trial, *, plain: bool = False) -> None:
        ball = a_ball(others={"findings/one": "one", "findings/two": "two"})
        self.merged.add(trial, ball, plain=plain)
        self.record(trial)

    def record(self, trial: Trial, **facts: Any) -> None:
        fuzzer, target, program, run = trial
        job = {"repeat": run, "fuzzer": fuzzer, "target": target, "program": program, "args": "-x @@", "fuzzargs": ""}
        known = {"job": job, "digest": "d1" if fuzzer == "afl" else "d2", "image": "sha256:none"} | facts
        path = self.merged.root / "trials" / f"{','.join(map(str, trial))}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(known))

    def run(self, **order: Any) -> Extracts:
        known = background(self.merged.workdir, None)
        wanted = ExtractOrder(
            workdir=self.merged.workdir,
            background=replace(known, pins=self.pins),
            build=self.build,
            cpus=self.cpus,
            **order,
        )
        outside = ExtractOutside(runner=self.runner, guards=self.guards, reporter=self.reporter, registry=self.registry)
        self.reporter.ends.clear()
        return extract_workdir(wanted, outside)

    def pocs(self) -> dict[str, str]:
        folder = self.merged.root / "poc"
        return {path.name: path.read_text() for path in folder.iterdir() if path.name != "index.json"}

    def index(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.merged.root / "poc/index.json").read_text())
        return value

    def done(self) -> list[str]:
        """What the last run did, not what it kept."""
        return sorted(trial_text(ended.trial) for ended in self.reporter.ends if ended.extracted)

    def with_tree(self, tree: Path) -> Desk:
        for name in ("afl", "honggfuzz"):
            (tree / "fuzzers" / name).mkdir(exist_ok=True)
            (tree / "fuzzers" / name / "build.sh").touch()
        (tree / "targets/libpng/configrc").write_text('PROGRAMS=(readpng)\nreadpng_ARGS="-a @@"\n')
        self.build = Build(
            campaign=Campaign(
                repeat=1,
                fuzzers=("afl", "honggfuzz"),
                targets=("libpng",),
                timeout=Duration.parse("1m"),
                fuzzargs={"afl": "-Q"},
            ),
            root=tree,
            tree=read_tree(tree),
            owner=Owner(uid=1000, gid=1000),
            worker_ip="192.0.2.7",
        )
        return self

    def assert_nothing_is_left(self, shm: Path) -> None:
        assert self.runner.gone or not self.runner.containers
        assert not self.runner.clashes
        assert not {held for held in self.guards.held if held != 7}
        assert not list(shm.glob("*/*"))
        assert not (self.merged.root / "cache").exists()
