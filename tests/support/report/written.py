"""Small experiments, written down trial by trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magma_remote.model.experiment import Experiment, Missing, TrialResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from magma_remote.model.machine import Machine

TIMEOUT = 60.0


def trial(
    name: str,
    *,
    triggered: Mapping[str, int] | None = None,
    reached: Mapping[str, int] | None = None,
    last: int | None = 60,
    problems: tuple[str, ...] = (),
    machine: Machine | None = None,
    bases: tuple[str, ...] = (),
) -> TrialResult:
    """`name` is `fuzzer/target/program/run`; what is triggered is reached at the same stamp unless said otherwise."""
    fuzzer, target, program, run = name.split("/")
    triggered = triggered or {}
    return TrialResult(
        fuzzer=fuzzer,
        target=target,
        program=program,
        run=int(run),
        reached={**triggered, **(reached or {})},
        triggered=triggered,
        polls=0 if last is None else 12,
        last_stamp=last,
        problems=problems,
        machine=machine,
        bases=bases,
    )


def lost(name: str) -> Missing:
    """A missing trial by its name."""
    fuzzer, target, program, run = name.split("/")
    message = "its worker's disk was full"
    return Missing(fuzzer=fuzzer, target=target, program=program, run=int(run), reason="died", message=message)


def experiment(
    *trials: TrialResult, missing: tuple[Missing, ...] = (), timeout: float | None = TIMEOUT, repeat: int | None = None
) -> Experiment:
    """All that was asked for is there or missing."""
    return Experiment(
        trials=trials,
        missing=missing,
        timeout=timeout,
        poll=5,
        repeat=repeat,
        expected=len(trials) + len(missing),
        source="a test",
    )
