"""Ends that come from outside, at moments that matter; tests/chaos has the random ones."""

from __future__ import annotations

import os
import pty
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.processes.quickrun import cache, entries, tar_names
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from docker.models.containers import Container

    from tests.support.processes.command import Ended
    from tests.support.processes.quickrun import Lab

SOON = 10.0  # seconds


def assert_clean_end(lab: Lab, ended: Ended, *trials: str) -> None:
    """Exit code 1, nothing left, every trial named among the missing ones."""
    assert ended.code == 1, ended.output
    assert "Traceback" not in ended.output
    assert not lab.containers()
    assert not cache(lab.workdir()).exists()
    missing = ended.output.partition("Missing trials")[2]
    for trial in trials:
        assert f"  {trial}: interrupted: " in missing


FOUR = [f"steady/toy/letters #{run}" for run in range(4)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_while_trials_run(lab: Lab, number: signal.Signals) -> None:
    quickrun = lab.start(lab.campaign(REPEAT=4, TIMEOUT="1h"))
    quickrun.await_output("Started")
    lab.await_running(1)
    quickrun.signal(number)
    ended = quickrun.end(SOON)
    assert_clean_end(lab, ended, *FOUR)
    assert f"stopped by {number.name}" in ended.output
    assert not entries(lab.workdir())


def test_ctrl_c_twice(lab: Lab) -> None:
    """A second one neither hurries nor breaks the end that the first one began."""
    quickrun = lab.start(lab.campaign(REPEAT=4, TIMEOUT="1h"))
    lab.await_running(1)
    quickrun.signal(signal.SIGINT)
    quickrun.await_output("stopped by SIGINT")
    for _ in range(3):
        quickrun.signal(signal.SIGINT)
        time.sleep(0.05)  # signals of one kind that come at once are one
    assert_clean_end(lab, quickrun.end(SOON), *FOUR)


def test_ctrl_c_reaches_a_whole_process_group(lab: Lab) -> None:
    quickrun = lab.start(lab.campaign(TIMEOUT="1h"))
    lab.await_running(1)
    os.killpg(quickrun.process.pid, signal.SIGINT)
    assert_clean_end(lab, quickrun.end(SOON), FOUR[0])


def test_a_signal_while_an_image_is_built(lab: Lab) -> None:
    with (lab.tree / "fuzzers/steady/build.sh").open("a") as script:
        script.write(f"sleep 600 # {lab.folder}\n")
    quickrun = lab.start(lab.campaign())
    until(lambda: any("Running in" in log.read_text() for log in (lab.workdir() / "log").glob("*_build_*")))
    quickrun.signal(signal.SIGTERM)
    ended = quickrun.end(SOON)
    assert ended.code == 1
    assert "stopped by SIGTERM before any trial was started" in ended.output
    assert not list((lab.workdir() / "staging").iterdir())
    until(lambda: not build_containers(lab))


def build_containers(lab: Lab) -> list[Container]:
    """The engine's own containers of the build that sleeps."""
    running = lab.engine.containers.list(ignore_removed=True)
    return [c for c in running if "/magma/fuzzers/steady" in str(c.attrs["Config"]) and not c.labels]


def test_a_terminal_that_is_closed(lab: Lab) -> None:
    """The run ends as with `kill`, though it can tell nobody."""
    control, terminal = pty.openpty()
    quickrun = lab.start(
        lab.campaign(REPEAT=4, TIMEOUT="1h"),
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    lab.await_running(1)
    os.close(control)
    quickrun.signal(signal.SIGHUP)
    assert quickrun.end(SOON).code == 1
    assert not lab.containers()
    assert not cache(lab.workdir()).exists()


def test_nohup_goes_on_without_its_terminal(lab: Lab) -> None:
    quickrun = lab.start(lab.campaign(), before=["nohup"])
    lab.await_running(1)
    quickrun.signal(signal.SIGHUP)
    ended = quickrun.end()
    assert ended.code == 0, ended.output
    assert entries(lab.workdir()) == ["steady/toy/letters/0"]


@pytest.mark.parametrize("stream", ["pipe", "terminal"])
def test_goes_on_when_nobody_listens_any_more(lab: Lab, stream: str) -> None:
    """As `quickrun … | head -1`: a reader that is gone must not cost a campaign."""
    reader, writer = os.pipe() if stream == "pipe" else pty.openpty()
    quickrun = lab.start(lab.campaign(REPEAT=2), stdout=writer)
    os.close(writer)
    assert os.read(reader, 1)
    lab.await_running(1)
    os.close(reader)
    ended = quickrun.end()
    assert (ended.code, ended.output) == (0, "")
    assert entries(lab.workdir()) == ["steady/toy/letters/0", "steady/toy/letters/1"]


def test_a_container_that_someone_removes(lab: Lab) -> None:
    quickrun = lab.start(lab.campaign(REPEAT=2))
    victim = lab.await_running(1)[0]
    victim.remove(force=True)
    ended = quickrun.end()
    assert ended.code == 1
    assert ended.output.count("FAILED steady/toy/letters") == 1
    assert "1 of 2 trials complete" in ended.output
    assert len(entries(lab.workdir())) == 1
    assert lab.run(lab.campaign(REPEAT=2)).code == 0


def test_a_container_that_someone_kills(lab: Lab) -> None:
    quickrun = lab.start(lab.campaign(TIMEOUT="3s"))
    lab.await_running(1)[0].kill()
    ended = quickrun.end()
    assert ended.code == 1
    assert "FAILED steady/toy/letters #0" in ended.output
    assert not entries(lab.workdir())


def test_killed_while_trials_run(lab: Lab) -> None:
    """The next start removes what is left and runs all of it."""
    quickrun = lab.start(lab.campaign(REPEAT=2))
    orphans = lab.await_running(2)
    quickrun.signal(signal.SIGKILL)
    quickrun.process.wait()
    assert cache(lab.workdir()).exists()
    ended = lab.run(lab.campaign(REPEAT=2))
    assert ended.code == 0, ended.output
    for orphan in orphans:
        assert f"Removed container {orphan.short_id}, left by a run in {lab.workdir()} that died" in ended.output
    assert entries(lab.workdir()) == ["steady/toy/letters/0", "steady/toy/letters/1"]
    assert not lab.containers()
    assert not cache(lab.workdir()).exists()


def test_any_start_removes_the_dead_runs_containers(lab: Lab) -> None:
    """A dead run would otherwise keep CPUs busy that nobody claims."""
    quickrun = lab.start(lab.campaign(TIMEOUT="1h"))
    lab.await_running(1)
    quickrun.signal(signal.SIGKILL)
    quickrun.process.wait()
    other: Path = lab.workdir("other")
    ended = lab.run(lab.campaign(name="other", TIMEOUT="1s"), other)
    assert ended.code == 0, ended.output
    assert not lab.containers()
    assert not cache(lab.workdir()).exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_while_a_trial_is_archived(lab: Lab, number: signal.Signals) -> None:
    """What was complete stays so: it is archived now or by the next start, and never run again."""
    campaign = lab.campaign(TIMEOUT="1s", FUZZARGS={"steady": "--bulk 200"})
    quickrun = lab.start(campaign)
    until(lambda: list((lab.workdir() / "staging").glob("*/ball.tar")))
    quickrun.signal(number)
    first = quickrun.end(SOON)
    assert first.code == (-signal.SIGKILL if number is signal.SIGKILL else 0), first.output
    assert bool(entries(lab.workdir())) == (number is signal.SIGINT)
    ended = lab.run(campaign)
    assert ended.code == 0, ended.output
    assert "Started" not in ended.output
    tarball = lab.workdir() / "ar/steady/toy/letters/0/ball.tar"
    assert "./findings/bulk" in tar_names(tarball)
    assert not list((lab.workdir() / "staging").iterdir())
    assert not cache(lab.workdir()).exists()
