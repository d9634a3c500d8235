"""Extraction over a WORKDIR on an engine in memory: what is done, what is kept, what is refused, what is left."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.adapters.magma_tree import read_tree
from magma_remote.adapters.memory import MemoryGuards, MemoryReporter, MemoryRunner
from magma_remote.adapters.memory_container import Script
from magma_remote.adapters.memory_registry import MemoryRegistry
from magma_remote.errors import BusyError, EngineError, EngineGoneError, StorageError, UsageError
from magma_remote.model.container import JOB_LABEL, WORKDIR_LABEL
from magma_remote.model.pinned import PinnedImage
from magma_remote.model.pocs import Ended, trial_text
from magma_remote.runtime import cache, extracting, extracting_pool, extracting_trial, patience
from magma_remote.runtime.extracting import ExtractOrder, ExtractOutside, Extracts, extract_workdir
from magma_remote.runtime.extracting_known import Known, background
from magma_remote.runtime.extracting_tasks import Build
from magma_remote.runtime.images import Owner
from tests.merged import Merged, a_ball, cut
from tests.unit.conftest import a_campaign

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from magma_remote.model.container import ContainerSpec
    from magma_remote.model.experiment import Trial
    from magma_remote.ports import Registry

TRIALS: list[Trial] = [
    ("afl", "libpng", "readpng", 0),
    ("afl", "libpng", "readpng", 1),
    ("honggfuzz", "libpng", "readpng", 0),
]
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

    def add(self, trial: Trial, *, record: bool = True, plain: bool = False) -> None:
        ball = a_ball(others={"findings/one": "one", "findings/two": "two"})
        self.merged.add(trial, ball, plain=plain)
        if record:
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
            background=type(known)(trials=known.trials, asked=known.asked, pins=self.pins),
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
            campaign=a_campaign(fuzzers=("afl", "honggfuzz"), fuzzargs={"afl": "-Q"}),
            root=tree,
            tree=read_tree(tree),
            owner=Owner(uid=1000, gid=1000),
            worker_ip="192.0.2.7",
        )
        return self


@pytest.fixture
def desk(tmp_path: Path, shm: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(extracting, "keep_off", lambda *_: True)
    for module in (extracting, extracting_pool):
        monkeypatch.setattr(module, "stay_on", lambda _cpus: None)
    monkeypatch.setattr(extracting_pool, "TICK", 0.01)
    monkeypatch.setattr(patience, "ENGINE_SECONDS", 0.05)
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    made = Desk(Merged(tmp_path / "workdir"))
    yield made
    assert made.runner.gone or not made.runner.containers
    assert not made.runner.clashes
    assert not {held for held in made.guards.held if held != 7}
    assert not list(shm.glob("*/*"))
    assert not (made.merged.root / "cache").exists()


def test_each_trial_runs_in_its_own_image_on_a_cpu_of_its_own(desk: Desk) -> None:
    desk.scripts = {"afl0": said(("one", "exit_code 139 bug PNG001")), "honggfuzz0": said(("two", "exit_code 134"))}
    found = desk.run()
    assert not found.failed
    specs = desk.runner.created
    assert sorted((spec.labels[JOB_LABEL].split(",")[1], spec.image) for spec in specs) == [
        ("afl", AFL),
        ("afl", AFL),
        ("honggfuzz", HONGG),
    ]
    assert {spec.cpus for spec in specs} <= {(0,), (1,)}
    assert all(spec.command == ("sleep", "infinity") for spec in specs)
    assert all(spec.environment["ARGS"] == "-x @@" for spec in specs)
    assert {spec.labels[WORKDIR_LABEL] for spec in specs} == {str(desk.merged.root)}
    names = sorted(name.partition(".")[0] for name in desk.pocs())
    assert names == ["afl_libpng_readpng_PNG001", "honggfuzz_libpng_readpng_NEW"]


def test_the_index_tells_bug_poc_and_trials(desk: Desk) -> None:
    crash = ("one", "exit_code 139 bug PNG001")
    desk.scripts = {"afl0": said(crash, findings=4), "afl1": said(crash, ("two", "exit_code 0 bug PNG002"))}
    (desk.merged.root / "poc/foreign.1234abcd").touch()
    desk.run()
    index = desk.index()
    assert list(index["bugs"]["libpng"]) == ["PNG001", "PNG002"]
    (poc,) = index["bugs"]["libpng"]["PNG001"]
    assert poc["trials"] == ["afl/libpng/readpng/0", "afl/libpng/readpng/1"]
    assert (poc["size"], poc["exit_code"], poc["fuzzer"]) == (3, 139, "afl")
    assert desk.pocs()[poc["file"]] == "one"
    rows = {row["trial"]: (row["state"], row["findings"], row["pocs"]) for row in index["trials"]}
    assert rows == {
        "afl/libpng/readpng/0": ("extracted", 4, 1),
        "afl/libpng/readpng/1": ("extracted", 2, 2),
        "honggfuzz/libpng/readpng/0": ("no_findings", 0, 0),
    }
    assert index["others"] == ["foreign.1234abcd"]


def test_a_second_run_does_nothing_and_needs_no_engine(desk: Desk) -> None:
    desk.script = said(("one", "exit_code 139"))
    first = desk.run()
    before = (desk.merged.root / "poc/index.json").read_bytes()
    desk.runner.go()
    again = desk.run()
    assert (again.kept, again.done, again.failed) == (3, first.done, {})
    assert (desk.merged.root / "poc/index.json").read_bytes() == before


def lose_poc(desk: Desk) -> None:
    next(path for path in (desk.merged.root / "poc").glob("afl*")).unlink()


def lose_record(desk: Desk) -> None:
    (desk.merged.root / "extracted/afl,libpng,readpng,1.json").write_text('{"version": 1, "trial": [1]}')


def replace_trial(desk: Desk) -> None:
    desk.merged.remove(TRIALS[2])
    desk.merged.add(TRIALS[2], a_ball(others={"findings/one": "another" * 9999}))


@pytest.mark.parametrize(
    ("change", "done"),
    [
        pytest.param(lose_poc, ["afl/libpng/readpng/0", "afl/libpng/readpng/1"], id="poc-gone"),
        pytest.param(lose_record, ["afl/libpng/readpng/1"], id="record-damaged"),
        pytest.param(replace_trial, ["honggfuzz/libpng/readpng/0"], id="trial-replaced"),
        pytest.param(lambda desk: desk.add(("afl", "libpng", "readpng", 2)), ["afl/libpng/readpng/2"], id="trial-new"),
    ],
)
def test_only_what_is_missing_is_done(desk: Desk, change: Any, done: list[str]) -> None:
    desk.script = said(("one", "exit_code 139"))
    desk.run()
    change(desk)
    found = desk.run()
    assert desk.done() == done
    assert not found.failed
    assert len(desk.pocs()) == (3 if done[0].startswith("hongg") else 2)


def test_again_does_all(desk: Desk) -> None:
    desk.run()
    assert desk.run(again=True).kept == 0
    assert len(desk.done()) == 3


def test_plain_folders_are_copied_and_stay_as_they_are(desk: Desk) -> None:
    trial: Trial = ("afl", "libpng", "readpng", 5)
    desk.add(trial, plain=True)
    before = sorted(path for path in desk.merged.entry(trial).rglob("*"))
    desk.scripts = {"afl5": said(("one", "exit_code 139"))}
    desk.run()
    assert list(desk.pocs().values()) == ["one"]
    assert sorted(path for path in desk.merged.entry(trial).rglob("*")) == before
    assert not any(spec.shared.is_relative_to(desk.merged.root) for spec in desk.runner.created)


def test_a_large_trial_goes_to_disk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extracting, "_LARGEST_SHARE", 1000)
    desk.run()
    assert all(spec.shared.is_relative_to(desk.merged.root / "cache") for spec in desk.runner.created)


def refuse() -> None:
    raise EngineError("no exec here")


def damage(desk: Desk) -> None:
    cut(desk.merged.entry(TRIALS[0]) / "ball.tar", 3000)


def no_room(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extracting_trial, "free_bytes", lambda _path: 1000)
    desk.merged.remove(TRIALS[1])
    desk.merged.remove(TRIALS[2])


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        pytest.param(damage, "cut after 3000 bytes", id="tarball"),
        pytest.param(lambda desk: desk.scripts.update(afl0=Script(at={"execute": refuse})), "no exec", id="engine"),
        pytest.param(lambda desk: desk.record(TRIALS[0], digest="", image=""), "in which image", id="image-unknown"),
        pytest.param(lambda desk: desk.record(TRIALS[0], digest="d9"), "(d9) is not on this machine", id="image-away"),
        pytest.param(lambda desk: desk.record(TRIALS[0], job={}), "with which arguments", id="arguments"),
        pytest.param(lambda desk: desk.record(TRIALS[0], digest=["x"], image=3), "in which image", id="types"),
    ],
)
def test_one_failure_is_named_and_the_others_go_on(desk: Desk, spoil: Any, why: str) -> None:
    spoil(desk)
    found = desk.run()
    assert list(found.failed) == [TRIALS[0]]
    assert why in found.failed[TRIALS[0]]
    assert [one.trial for one in found.done] == TRIALS[1:]
    (row,) = (row for row in desk.index()["trials"] if row["state"] == "failed")
    assert why in row["message"]


def test_no_room_is_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    no_room(desk, monkeypatch)
    assert "has 1000 B free" in desk.run().failed[TRIALS[0]]


def test_names_that_no_campaign_has_are_refused(desk: Desk) -> None:
    trial: Trial = ("a b", "libpng", "readpng", 0)
    desk.add(trial)
    assert "name that no fuzzer" in desk.run().failed[trial]


def test_an_image_that_stands_under_its_id_is_the_one(desk: Desk) -> None:
    desk.runner.images["sha256:exact"] = "sha256:exact"
    desk.runner.images["debian:12"] = "sha256:other"
    desk.record(TRIALS[0], digest="d9", image="sha256:exact")
    desk.record(TRIALS[1], digest="d9", image="debian:12")
    found = desk.run()
    assert list(found.failed) == [TRIALS[1]]
    assert "sha256:exact" in {spec.image for spec in desk.runner.created}


def test_a_tree_builds_what_is_missing_and_it_is_the_same(desk: Desk, tree: Path) -> None:
    desk.with_tree(tree)
    assert desk.build
    desk.run()  # nothing is built: all is there
    assert not desk.runner.builds
    desk.record(TRIALS[0], digest="d9")
    found = desk.run(again=True)
    assert "the tree makes another image of afl/libpng" in found.failed[TRIALS[0]]
    assert not desk.runner.builds


def test_of_captains_trials_the_image_is_named_as_an_assumption(desk: Desk, tree: Path) -> None:
    for path in (desk.merged.root / "trials").iterdir():
        path.unlink()
    found = desk.with_tree(tree).run()
    assert all(one.assumed for one in found.done)
    assert len(found.done) == 3
    assert len(desk.runner.builds) == 2
    assert sum("not written down" in note for note in desk.reporter.notes) == 2
    environments = {(spec.environment["ARGS"], spec.environment["FUZZARGS"]) for spec in desk.runner.created}
    assert environments == {("-a @@", "-Q"), ("-a @@", "")}
    assert not list((desk.merged.root / "log").iterdir())
    assert len(list((desk.merged.root / "extracted/log").iterdir())) == 2


@pytest.mark.parametrize(("recipe", "fails"), [("d9", False), ("d8", True), ("", False)])
def test_a_pinned_image_is_pulled_and_held_against_the_record(desk: Desk, recipe: str, *, fails: bool) -> None:
    registry = MemoryRegistry(desk.runner)
    desk.registry = registry
    desk.runner.built["d9"] = "sha256:pinned"
    manifest = registry.push("sha256:pinned", "magma/afl/libpng", "d9")
    del desk.runner.built["d9"]
    desk.pins = {("afl", "libpng"): PinnedImage(fuzzer="afl", target="libpng", manifest=manifest)}
    desk.record(TRIALS[0], digest=recipe)
    found = desk.run()
    assert list(found.failed) == ([TRIALS[0]] if fails else [])


def test_cpus_of_running_trials_are_left_alone(desk: Desk) -> None:
    desk.guards.held.add(7)
    desk.cpus = frozenset({7, 8})
    desk.run()
    assert {spec.cpus for spec in desk.runner.created} == {(8,)}


def test_no_free_cpu_is_refused(desk: Desk) -> None:
    desk.guards.held.add(7)
    desk.cpus = frozenset({7})
    with pytest.raises(BusyError, match="all CPUs"):
        desk.run()
    assert not desk.runner.created


def test_workers_limits_cpus(desk: Desk) -> None:
    desk.run(workers=1)
    assert {spec.cpus for spec in desk.runner.created} == {(0,)}
    assert desk.reporter.plans_made == [(3, 0, 1)]


def test_a_stop_ends_containers_and_the_next_run_goes_on(desk: Desk) -> None:
    reached = threading.Event()

    def hang() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        reached.set()
        container = next(iter(desk.runner.containers.values()))
        container.ended.wait(10)
        raise EngineError("killed")

    desk.scripts = {"afl0": Script(at={"execute": hang})}
    stopped = desk.run(workers=1)
    assert reached.is_set()
    assert stopped.stopped == "SIGTERM"
    assert not stopped.done
    assert set(stopped.failed.values()) == {"not extracted yet: stopped by SIGTERM"}
    desk.scripts = {}
    assert len(desk.run().done) == 3


def test_an_engine_that_restarts_costs_nothing(desk: Desk) -> None:
    failures = [EngineGoneError("restarting")]

    def once() -> None:
        if failures:
            raise failures.pop()

    desk.scripts = {"afl0": Script(at={"execute": once})}
    assert not desk.run().failed


def test_an_engine_that_stays_away_ends_it(desk: Desk) -> None:
    desk.scripts = {"afl0": Script(at={"execute": desk.runner.go})}
    with pytest.raises(EngineGoneError):
        desk.run(workers=1)


def test_leftovers_of_a_killed_run_are_cleared(desk: Desk, shm: Path) -> None:
    root = cache.Cache.in_memory(desk.merged.workdir)
    shm.joinpath(f"magma-remote-{os.getuid()}").mkdir()
    root.open()
    (root.root / "extract,left").mkdir()
    half = desk.merged.root / "poc/.afl_libpng_readpng_NEW.12345678"
    half.write_text("ha")
    desk.run()
    assert not half.exists()


@pytest.mark.parametrize(("held", "error"), [(True, StorageError), (False, UsageError)], ids=["locked", "no-workdir"])
def test_a_folder_that_cannot_be_used(desk: Desk, held: bool, error: type[Exception]) -> None:  # noqa: FBT001
    if held:
        desk.guards.held.add(desk.merged.root)
    else:
        (desk.merged.root / "ar").rename(desk.merged.root / "away")
    with pytest.raises(error):
        desk.run()
    desk.guards.held.clear()


def test_missing_trials_are_told(desk: Desk) -> None:
    rows = [
        {"fuzzer": f, "target": t, "program": p, "run": run, "args": "", "fuzzargs": "", "recipe": None, "image": None}
        for f, t, p, run in [*TRIALS, ("afl", "libpng", "readpng", 9)]
    ]
    (desk.merged.root / "manifest.json").write_text(
        json.dumps({"version": 1, "trials": rows, "images": {"afl/libpng": 3}})
    )
    assert desk.run().missing == (("afl", "libpng", "readpng", 9),)


def test_what_the_record_does_not_know_manifest_json_may() -> None:
    job = None
    assert Known(recipe="a").or_else(Known(recipe="b", image="i")) == Known(job=job, recipe="a", image="i")
