"""Generated experiments: what a campaign of a given size might have found, the same for the same seed."""

from __future__ import annotations

from itertools import product
from math import log
from random import Random

from magma_remote.model.experiment import Experiment, Missing, TrialResult

DAY = 86_400.0
POLL = 5
Rates = dict[tuple[str, int, int], float]
FUZZERS = (
    "afl",
    "aflfast",
    "aflplusplus",
    "angora",
    "fairfuzz",
    "honggfuzz",
    "libfuzzer",
    "moptafl",
    "radamsa",
    "symcc",
)


def generated(
    *,
    fuzzers: int = 10,
    targets: int = 20,
    programs: int = 1,
    repeats: int = 10,
    bugs: int = 10,
    lost: int = 0,
    seed: int = 1,
) -> Experiment:
    """Times are exponential with a rate of each fuzzer and bug, late bugs being hard; `lost` trials are missing."""
    random = Random(seed)
    names = [*FUZZERS, *(f"fuzzer{i}" for i in range(fuzzers))][:fuzzers]
    rates = {
        (fuzzer, target, bug): _rate(random, skill / fuzzers, bug)
        for skill, fuzzer in enumerate(names)
        for target in range(targets)
        for bug in range(bugs)
    }
    jobs = product(names, range(targets), range(programs), range(repeats))
    trials = [_trial(random, rates, job, bugs) for job in jobs]
    gone = set(random.sample(range(len(trials)), lost))
    return Experiment(
        trials=tuple(trial for i, trial in enumerate(trials) if i not in gone),
        missing=tuple(_missing(trials[i]) for i in sorted(gone)),
        timeout=DAY,
        poll=POLL,
        repeat=repeats,
        settings={"FUZZERS": names, "REPEAT": repeats, "TIMEOUT": "24h", "POLL": POLL, "CANARY_MODE": 1},
        facts={"Magma commit": "75d1ae7b180443b778c8bb30c57e0d4a02d1c841", "magma-remote": "0.1.0"},
        expected=len(trials),
        source="generated",
    )


def _trial(random: Random, rates: Rates, job: tuple[str, int, int, int], bugs: int) -> TrialResult:
    fuzzer, target, program, run = job
    reached, triggered = {}, {}
    for bug in range(bugs):
        name = f"T{target:02d}{bug:03d}"
        wait = -log(1 - random.random()) / rates[fuzzer, target, bug]
        if wait / 20 <= DAY and bug % 9 != 8:
            reached[name] = _stamp(wait / 20)
        if wait <= DAY and name in reached:
            triggered[name] = _stamp(wait)
    return TrialResult(
        fuzzer=fuzzer,
        target=f"target{target:02d}",
        program=f"program{program}",
        run=run,
        reached=reached,
        triggered=triggered,
        polls=17_000,
        last_stamp=86_395,
    )


def _rate(random: Random, skill: float, bug: int) -> float:
    """Events a second; some fuzzers are blind to some bugs."""
    if random.random() < bug / 12:
        return 1e-12
    return (0.5 + skill) * 10 ** random.gauss(-bug * 0.33 - 2.6, 0.9)


def _stamp(seconds: float) -> int:
    return min(int(DAY), int(seconds // POLL + 1) * POLL)


def _missing(trial: TrialResult) -> Missing:
    return Missing(
        fuzzer=trial.fuzzer,
        target=trial.target,
        program=trial.program,
        run=trial.run,
        reason="too-short",
        message="it ended after 2 h of 1 d, three times: the container's memory ran out",
    )
