"""Ctrl-C and `kill` in each phase: everything ends, each job has one Result, and the next start goes on."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.adapters.memory_container import Hang, Script
from magma_remote.errors import StoppedError
from magma_remote.model.outcome import Reason
from magma_remote.runtime.signals import on_stop, raise_stopped
from magma_remote.runtime.trial import archive, trial

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.memory.quickrun import Lab

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def send(number: signal.Signals = signal.SIGTERM) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_fuzzing(lab: Lab, number: signal.Signals) -> None:
    lab.script = Script(hangs=Hang.FUZZING)
    lab.scripts[lab.jobs[1]] = Script(hangs=Hang.FUZZING, at={"wait": send(number)})
    lab.run()
    assert lab.reasons() == [Reason.INTERRUPTED] * 3
    assert lab.results[2].message == f"not started: stopped by {number.name}"
    assert not list(lab.entries())


@pytest.mark.parametrize("method", ["create", "start", "follow", "wait", "lines"])
def test_a_stop_at_each_step_of_a_trial(lab: Lab, method: str) -> None:
    lab.script = Script(hangs=Hang.FUZZING)
    hangs = None if method == "lines" else Hang.FUZZING
    lab.scripts[lab.jobs[0]] = Script(hangs=hangs, at={method: send()})
    lab.run()
    first = None if method == "lines" else Reason.INTERRUPTED
    assert lab.reasons() == [first, Reason.INTERRUPTED, Reason.INTERRUPTED]


def test_a_stop_while_pruning(lab: Lab) -> None:
    lab.script = Script(hangs=Hang.PRUNING, at={"follow": send()})
    lab.run()
    assert lab.reasons() == [Reason.INTERRUPTED] * 3


def test_a_stop_while_archiving_lets_the_archive_be_finished(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped_publish(*args: Any, **kwargs: Any) -> None:
        send()()
        archive.publish(*args, **kwargs)

    monkeypatch.setattr(trial, "publish", stopped_publish)
    lab.sets = ((0,),)
    lab.run()
    assert lab.results[0].complete
    assert Reason.INTERRUPTED in lab.reasons() or all(result.complete for result in lab.results)


def test_a_stop_while_extracting_keeps_the_trial(lab: Lab) -> None:
    lab.settings(poc_extract=True)
    lab.script = Script(hangs=Hang.FUZZING)
    lab.scripts[lab.jobs[0]] = Script(at={"execute": send()})
    lab.run()
    assert lab.reasons() == [None, Reason.INTERRUPTED, Reason.INTERRUPTED]


def test_a_second_signal_changes_nothing(lab: Lab) -> None:
    lab.script = Script(hangs=Hang.FUZZING, at={"wait": send(), "remove": send()})
    lab.run()
    assert lab.reasons() == [Reason.INTERRUPTED] * 3


def test_a_stop_before_any_trial(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    build = lab.runner.build

    def stopped_build(*args: Any, **kwargs: Any) -> str:
        send()()
        return build(*args, **kwargs)

    monkeypatch.setattr(lab.runner, "build", stopped_build)
    with pytest.raises(StoppedError, match="SIGTERM before any trial"):
        lab.run()
    assert not lab.runner.created
    assert not lab.guards.held
    assert not list(lab.workdir.staging.iterdir())


def test_the_next_start_goes_on(lab: Lab) -> None:
    lab.sets = ((0,),)
    lab.scripts[lab.jobs[1]] = Script(hangs=Hang.FUZZING, at={"wait": send()})
    lab.run()
    assert lab.reasons() == [None, Reason.INTERRUPTED, Reason.INTERRUPTED]
    lab.scripts.clear()
    lab.runner.created.clear()
    lab.run()
    assert lab.reasons() == [None] * 3
    assert len(lab.runner.created) == 2


def test_an_engine_that_is_gone_while_we_stop(lab: Lab) -> None:
    def both() -> None:
        send()()
        lab.runner.go()

    lab.script = Script(hangs=Hang.FUZZING, at={"wait": both})
    lab.run()
    assert None not in lab.reasons()


@pytest.mark.parametrize("number", SIGNALS)
def test_handlers_are_put_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    heard: list[str] = []
    with on_stop(heard.append):
        send(number)()
    assert heard == [number.name]
    assert signal.getsignal(number) is before


def test_handlers_are_put_back_after_a_stop() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(StoppedError), on_stop(raise_stopped):
        send()()
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_the_inner_wish_counts() -> None:
    outer: list[str] = []
    inner: list[str] = []
    with on_stop(outer.append):
        with on_stop(inner.append):
            send()()
        send(signal.SIGINT)()
    assert (inner, outer) == (["SIGTERM"], ["SIGINT"])
