"""Extraction over a WORKDIR on an engine in memory: what is done, what is kept, what is left."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.adapters.memory_container import Script
from magma_remote.errors import BusyError, EngineError, EngineGoneError, StorageError, UsageError
from magma_remote.model.container import JOB_LABEL, WORKDIR_LABEL
from magma_remote.runtime.extracting import workdir as extracting
from magma_remote.runtime.trial import cache
from tests.support.memory.desk import AFL, HONGG, OTHER, Desk, said
from tests.support.workdirs.merged import a_ball

if TYPE_CHECKING:
    from pathlib import Path

    from magma_remote.model.experiment import Trial


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
    desk.merged.remove(OTHER)
    desk.merged.add(OTHER, a_ball(others={"findings/one": "another" * 9999}))


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
    assert set(stopped.failed.values()) == {"stopped by SIGTERM before it was done"}
    desk.scripts = {}
    assert len(desk.run().done) == 3


def test_an_engine_that_restarts_costs_nothing(desk: Desk) -> None:
    failures = [EngineGoneError("restarting")]

    def once() -> None:
        if failures:
            raise failures.pop()

    desk.scripts = {"afl0": Script(scripts={"findings.sh": (b"\x000\0",)}, at={"execute": once})}
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
def test_a_folder_that_cannot_be_used(desk: Desk, held: bool, error: type[Exception]) -> None:
    if held:
        desk.guards.held.add(desk.merged.root)
    else:
        (desk.merged.root / "ar").rename(desk.merged.root / "away")
    with pytest.raises(error):
        desk.run()
    desk.guards.held.clear()


def test_a_poc_that_was_altered_is_extracted_again(desk: Desk) -> None:
    """Whatever its size: what was altered stays, and is in no trial's list."""
    desk.script = said(("one", "exit_code 139"))
    first = desk.run()
    name = first.done[0].pocs[0].file
    (desk.merged.root / "poc" / name).write_text("two")
    again = desk.run()
    assert again.kept < len(first.done)
    assert not again.failed
    assert desk.index()["others"] == [name]
    assert desk.run().kept == len(first.done)
