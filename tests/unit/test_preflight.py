"""What is refused before anything is built, and that a user's mistake is a message and never a traceback."""

from __future__ import annotations

import os
import pwd
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.memory_container import Script
from magma_remote.adapters.memory_reporter import MemoryReporter
from magma_remote.errors import BusyError, EngineError, MagmaRemoteError, StorageError, UsageError
from magma_remote.model.layout import Workdir
from magma_remote.model.units import Size
from magma_remote.runtime import preflight
from magma_remote.runtime.preflight import check_core_pattern, check_place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.memory.quickrun import Lab


@pytest.mark.parametrize(
    ("pattern", "good"),
    [
        pytest.param("core\n", True, id="file"),
        pytest.param("/var/cores/core.%p\n", True, id="path"),
        pytest.param("\n", True, id="empty"),
        pytest.param("|/usr/share/apport/apport %p\n", False, id="program"),
        pytest.param(" |/bin/false\n", False, id="program-after-a-space"),
    ],
)
def test_crashes_may_not_go_to_a_program(tmp_path: Path, pattern: str, *, good: bool) -> None:
    file = tmp_path / "core_pattern"
    file.write_text(pattern)
    if good:
        check_core_pattern(file)
        return
    with pytest.raises(UsageError, match="sudo sysctl"):
        check_core_pattern(file)


def test_no_core_pattern_is_fine(tmp_path: Path) -> None:
    check_core_pattern(tmp_path / "none")


@pytest.mark.parametrize(
    ("place", "good"),
    [("magma", False), ("magma/results", False), ("magma-results", True), ("results", True)],
)
def test_a_workdir_is_outside_of_the_tree(tmp_path: Path, place: str, *, good: bool) -> None:
    if good:
        check_place(Workdir(tmp_path / place), tmp_path / "magma")
        return
    with pytest.raises(UsageError, match="inside the Magma tree"):
        check_place(Workdir(tmp_path / place), tmp_path / "magma")


def _in_the_tree(lab: Lab) -> None:
    lab.workdir = Workdir(lab.root / "results")


def _foreign(lab: Lab) -> None:
    lab.workdir.root.mkdir()
    (lab.workdir.root / "thesis.tex").touch()


def _no_room(lab: Lab) -> None:
    lab.settings(tmpfs_size=Size.parse("99999t"))


def _no_engine(lab: Lab) -> None:
    lab.runner.go()


def _cpus_taken(lab: Lab) -> None:
    lab.guards.held.add(1)


def _a_file_in_the_way(lab: Lab) -> None:
    lab.workdir.root.mkdir()
    (lab.workdir.root / "campaign.json").write_text("{}")


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        pytest.param(_in_the_tree, UsageError, id="workdir-in-the-tree"),
        pytest.param(_foreign, UsageError, id="foreign-workdir"),
        pytest.param(_no_room, StorageError, id="no-room"),
        pytest.param(_no_engine, EngineError, id="no-engine"),
        pytest.param(_cpus_taken, BusyError, id="cpus-taken"),
        pytest.param(_a_file_in_the_way, UsageError, id="foreign-campaign"),
    ],
)
def test_what_can_be_refused_is_refused_first(lab: Lab, spoil: Callable[[Lab], None], error: type[Exception]) -> None:
    spoil(lab)
    held = set(lab.guards.held)
    with pytest.raises(error):
        lab.run()
    assert not lab.runner.builds
    assert not lab.runner.created
    assert lab.guards.held == held


def _a_file_for_a_folder(lab: Lab) -> None:
    lab.run()
    lab.workdir.logs.rename(lab.workdir.root / "elsewhere")
    lab.workdir.logs.touch()


def _a_file_for_the_workdir(lab: Lab) -> None:
    lab.workdir.root.touch()


def _a_file_above_the_workdir(lab: Lab) -> None:
    lab.workdir.root.touch()
    lab.workdir = Workdir(lab.workdir.root / "results")


def _a_folder_for_a_build_log(lab: Lab) -> None:
    lab.script = Script(ran=1.0)
    lab.run()
    log = lab.workdir.build_log("afl", "libpng", "192.0.2.7")
    log.unlink()
    log.mkdir()
    lab.runner.built.clear()


def _no_dockerfile(lab: Lab) -> None:
    (lab.root / "docker/Dockerfile").unlink()


def _no_target(lab: Lab) -> None:
    (lab.root / "targets/libpng/configrc").unlink()
    (lab.root / "targets/libpng").rmdir()


def _odd_settings(lab: Lab) -> None:
    lab.run()
    lab.workdir.campaign.write_text('{"version": 1, "id": "x", "settings": []}')


def _odd_record(lab: Lab) -> None:
    lab.run()
    lab.workdir.record(lab.jobs[0]).write_text('{"bugs": [], "warnings": null, "job": 3}')


@pytest.mark.parametrize(
    "spoil",
    [
        _a_file_for_a_folder,
        _a_file_for_the_workdir,
        _a_file_above_the_workdir,
        _a_folder_for_a_build_log,
        _no_dockerfile,
        _no_target,
        _odd_settings,
        _odd_record,
    ],
)
def test_a_place_that_is_not_as_expected_is_a_message(lab: Lab, spoil: Callable[[Lab], None]) -> None:
    spoil(lab)
    with pytest.raises(MagmaRemoteError):
        lab.run()
    lab.assert_nothing_is_left()


def test_two_trials_never_share_a_log(lab: Lab) -> None:
    twins = (replace(lab.jobs[0], fuzzer="a_b", target="c"), replace(lab.jobs[0], fuzzer="a", target="b_c"))
    with pytest.raises(UsageError, match="would both write log/a_b_c_readpng_0_container"):
        preflight.check_names(twins)
    preflight.check_names(lab.jobs)


@pytest.mark.parametrize(
    ("uid", "systemd", "linger", "told"),
    [(1000, True, False, True), (1000, True, True, False), (1000, False, False, False), (0, True, False, False)],
    ids=["user", "lingering", "no-systemd", "root"],
)
def test_who_logs_out_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, uid: int, systemd: bool, linger: bool, told: bool
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: uid)
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: SimpleNamespace(pw_name="alice"))
    if systemd:
        (tmp_path / "systemd").mkdir()
    if linger:
        (tmp_path / "alice").touch()
    reporter = MemoryReporter()
    preflight.note_logout(reporter, systemd=tmp_path / "systemd", linger=tmp_path)
    assert bool(reporter.notes) == told
