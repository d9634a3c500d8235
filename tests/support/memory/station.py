"""A station on a machine in memory, for its tests."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from magma_remote.adapters.hjson_file import parse_hjson
from magma_remote.adapters.memory_container import Script
from magma_remote.adapters.memory_guards import MemoryGuards
from magma_remote.adapters.memory_runner import MemoryRunner
from magma_remote.model.campaign_file import read_campaign
from magma_remote.model.container import JOB_LABEL
from magma_remote.model.jobs import Job
from magma_remote.model.lscpu import Cpu
from magma_remote.model.messages import Broadcast
from magma_remote.model.tree import MagmaTree, Target
from magma_remote.ports import Assignment, Prepared, RunEnded
from magma_remote.runtime.images.images import Owner
from magma_remote.runtime.images.tree_digest import tree_digest
from magma_remote.runtime.station.local import LocalStation
from magma_remote.runtime.station.settings import StationOutside, StationSettings
from tests.support.waiting import DEADLINE

if TYPE_CHECKING:
    from pathlib import Path

    from magma_remote.adapters.memory_registry import MemoryRegistry
    from magma_remote.model.campaign import Campaign
    from magma_remote.model.container import ContainerSpec
    from magma_remote.model.cpus import CpuSet

PROGRAMS = {"libpng": {"readpng": ""}, "libtiff": {"tiffcp": ""}}
TREE = MagmaTree(
    fuzzers=("afl", "libfuzzer"),
    targets={name: Target(name=name, file=name, programs=programs) for name, programs in PROGRAMS.items()},
)


def campaign_text(**settings: Any) -> str:
    defaults = {"REPEAT": 1, "FUZZERS": ["afl"], "TARGETS": ["libpng"], "TIMEOUT": "1m"}
    return json.dumps(defaults | settings)


@dataclass
class Bench:
    """A machine in memory with CPUs 0 to 3: change what a test is about, then `station`."""

    root: Path
    workdirs: Path
    shm: Path
    keep: bool = False
    has_tree: bool = True
    registry: MemoryRegistry | None = None
    housekeeping: CpuSet = ()
    guards: MemoryGuards = field(default_factory=MemoryGuards)
    scripts: dict[str, Script] = field(default_factory=dict)
    stations: list[LocalStation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runner = MemoryRunner(self._script)

    def _script(self, spec: ContainerSpec) -> Script:
        return self.scripts.get(spec.labels.get(JOB_LABEL, ""), Script())

    def station(self) -> LocalStation:
        settings = StationSettings(
            workdirs=self.workdirs,
            keep=self.keep,
            root=self.root if self.has_tree else None,
            worker="0123456789ab",
            name="w1",
            host="192.0.2.7",
            ssh_port=22,
            ssh_user="magma",
            owner=Owner(uid=1000, gid=1000),
            housekeeping=self.housekeeping,
        )
        outside = StationOutside(
            runner=self.runner,
            guards=self.guards,
            read_document=lambda text, source: parse_hjson(text.encode(), source=source),
            read_tree=lambda _root: TREE,
            machine=lambda: (tuple(Cpu(number=n, core=n, socket=0) for n in range(4)), frozenset(range(4))),
            registry=self.registry,
        )
        self.workdirs.mkdir(exist_ok=True)
        self.stations.append(LocalStation(settings, outside))
        return self.stations[-1]

    def campaign(self, **settings: Any) -> Campaign:
        return read_campaign(parse_hjson(campaign_text(**settings).encode()), tree=TREE)

    def broadcast(self, config_id: str = "c1", **settings: Any) -> Broadcast:
        return Broadcast(
            config_id=config_id,
            source="campaign.hjson",
            text=campaign_text(**settings),
            tree=tree_digest(self.campaign(**settings), self.root),
            since=0.0,
            dispatcher="d",
            workdir="/w",
        )

    def ready(self, **settings: Any) -> LocalStation:
        """A station that is set up."""
        station = self.station()
        prepared = prepare(station, self.broadcast(**settings))
        assert prepared.unfit == ""
        return station

    def assert_nothing_is_left(self) -> None:
        """After all stations have gone: no container, no claim, no cache."""
        for station in self.stations:
            station.release()
            station._setting_up.join(DEADLINE)
            assert not station._setting_up.is_alive()
        assert self.runner.gone or not self.runner.containers
        assert not self.runner.clashes
        assert not self.guards.held
        assert not list(self.shm.glob("*/*"))

    def folder(self, assignment: Assignment) -> Path:
        return self.workdirs / f"workdir_{assignment.config_id}_{assignment.run}"


def prepare(station: LocalStation, broadcast: Broadcast) -> Prepared:
    station.prepare(broadcast)
    return prepared(station)


def prepared(station: LocalStation) -> Prepared:
    (news,) = await_news(station)
    assert isinstance(news, Prepared)
    return news


def await_news(station: LocalStation, count: int = 1) -> list[Prepared | RunEnded]:
    found: list[Prepared | RunEnded] = []
    end = time.monotonic() + DEADLINE
    while len(found) < count:
        assert time.monotonic() < end, f"news so far: {found}"
        station.wait(0.1)
        found += station.news()
    return found


def ended(station: LocalStation) -> RunEnded:
    (news,) = await_news(station)
    assert isinstance(news, RunEnded)
    return news


def run(station: LocalStation, assignment: Assignment) -> RunEnded:
    station.start(assignment)
    return ended(station)


def an_assignment(
    number: int = 0,
    *,
    repeat: int = 0,
    cpus: CpuSet = (0,),
    fuzzer: str = "afl",
    config_id: str = "c1",
) -> Assignment:
    job = Job(repeat=repeat, fuzzer=fuzzer, target="libpng", program="readpng")
    return Assignment(config_id=config_id, run=f"{number}-abcdef", number=number, attempt=1, job=job, cpus=cpus)
