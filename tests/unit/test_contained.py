"""One container of a trial: removed on every way out, ended by another thread, never started after a stop."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from magma_remote.adapters.memory_container import Hang, Script
from magma_remote.adapters.memory_runner import MemoryRunner
from magma_remote.errors import EngineError, StoppedError
from magma_remote.model.container import ContainerSpec
from magma_remote.model.outcome import Kill
from magma_remote.runtime.trial.contained import Contained

SPEC = ContainerSpec(image="x", shared=Path("/nowhere"), cpus=(0,), environment={"TIMEOUT": "1m"}, labels={})


def refuse() -> None:
    raise EngineError("no")


def test_it_is_removed_at_the_end() -> None:
    runner = MemoryRunner(lambda _spec: Script(files={}))
    with Contained(runner).container(SPEC) as name:
        assert list(runner.containers) == [name]
    assert not runner.containers


def test_it_is_removed_after_an_error() -> None:
    runner = MemoryRunner(lambda _spec: Script(files={}))
    with pytest.raises(ZeroDivisionError), Contained(runner).container(SPEC):
        raise ZeroDivisionError
    assert not runner.containers


@pytest.mark.parametrize("method", ["create", "start"])
def test_it_is_removed_where_the_engine_refuses(method: str) -> None:
    runner = MemoryRunner(lambda _spec: Script(at={method: refuse}))
    with pytest.raises(EngineError), Contained(runner).container(SPEC):
        pytest.fail("it was refused")
    assert not runner.containers


def test_none_starts_after_a_stop() -> None:
    runner = MemoryRunner()
    contained = Contained(runner)
    contained.kill(Kill.STOPPED)
    with pytest.raises(StoppedError), contained.container(SPEC):
        pytest.fail("it was stopped")
    assert not runner.created


@pytest.mark.parametrize("why", list(Kill))
def test_another_thread_ends_it(why: Kill) -> None:
    runner = MemoryRunner(lambda _spec: Script(hangs=Hang.PRUNING))
    contained = Contained(runner)
    with ThreadPoolExecutor() as threads, contained.container(SPEC) as name:
        waiting = threads.submit(runner.wait, name)
        contained.kill(why)
        waiting.result(timeout=10)
    assert contained.killed is why


def test_a_stop_while_it_starts_ends_it() -> None:
    contained: Contained
    runner = MemoryRunner(lambda _spec: Script(hangs=Hang.PRUNING, at={"start": lambda: contained.kill(Kill.STOPPED)}))
    contained = Contained(runner)
    with contained.container(SPEC) as name:
        runner.wait(name)
    assert contained.stopped


@pytest.mark.parametrize(
    ("first", "second", "stays"),
    [
        (Kill.OVERRAN, Kill.NOT_LAUNCHED_IN_TIME, Kill.OVERRAN),
        (Kill.OVERRAN, Kill.STOPPED, Kill.STOPPED),
        (Kill.STOPPED, Kill.OVERRAN, Kill.STOPPED),
    ],
)
def test_which_reason_stays(first: Kill, second: Kill, stays: Kill) -> None:
    contained = Contained(MemoryRunner())
    contained.kill(first)
    contained.kill(second)
    assert contained.killed is stays


def test_an_engine_that_will_not_kill_is_no_error() -> None:
    runner = MemoryRunner(lambda _spec: Script(files={}, at={"kill": refuse}))
    contained = Contained(runner)
    with contained.container(SPEC):
        contained.kill(Kill.OVERRAN)
    assert contained.killed is Kill.OVERRAN
