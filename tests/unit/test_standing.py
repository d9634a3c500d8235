"""What `status` shows, from entries alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from magma_remote.model.canaries import Bugs
from magma_remote.model.entries import CampaignState, JobState, RunState, WorkerEntry
from magma_remote.model.heartbeat import RunStatus, WorkerState
from magma_remote.model.jobs import Job
from magma_remote.model.standing import Pair, Standing, standing
from tests.support.ledger.entries import BEAT, CAMPAIGN, a_job, a_run, pairs_of

NOW = 1000.0
OPEN = replace(CAMPAIGN, state=CampaignState.OPEN, ended_at=None, timeout=100.0)
AFL = Job(repeat=0, fuzzer="afl", target="libpng", program="readpng", args="@@")


def a_worker(worker: str = "w1", *, heard_at: float = NOW, lost: bool = False, **fields: Any) -> WorkerEntry:
    """Ready with two CPUs, its clock right, nothing in hand."""
    values: dict[str, Any] = {"at": heard_at, "sets": ((0,), (1,)), "runs": (), "cannot": (), "name": f"host {worker}"}
    return WorkerEntry(
        worker=worker, heartbeat=replace(BEAT, worker=worker, **values | fields), heard_at=heard_at, lost=lost
    )


def a_status(run: str = "0-a", **fields: Any) -> RunStatus:
    values: dict[str, Any] = {"phase": "fuzzing", "since": NOW - 30, "started_at": NOW - 40, "cpus": (0,)}
    return RunStatus(run=run, number=0, attempt=1, **values | fields)


def a_pair(fuzzer: str = "afl", **counts: int) -> Pair:
    return Pair(fuzzer=fuzzer, target="libpng", counts={JobState(state): count for state, count in counts.items()})


def of(**given: Any) -> Standing:
    return standing(given.pop("campaign", OPEN), now=NOW, **given)


def test_counts_are_those_of_all_pairs() -> None:
    found = of(pairs=[a_pair("b", waiting=3, done=1), a_pair("a", waiting=2)])
    assert found.counts == dict.fromkeys(JobState, 0) | {JobState.WAITING: 5, JobState.DONE: 1}
    assert found.total == 6
    assert [pair.fuzzer for pair in found.pairs] == ["a", "b"]


@pytest.mark.parametrize(
    ("worker", "live", "heard_ago"),
    [
        pytest.param(a_worker(), True, 0.0, id="now"),
        pytest.param(a_worker(heard_at=NOW - 7.5), True, 7.5, id="a while ago"),
        pytest.param(a_worker(heard_at=NOW + 60), True, 0.0, id="clock was set back"),
        pytest.param(a_worker(lost=True), False, 0.0, id="lost"),
        pytest.param(a_worker(state=WorkerState.STOPPED), False, 0.0, id="stopped"),
        pytest.param(a_worker(state=WorkerState.UNFIT), True, 0.0, id="unfit"),
        pytest.param(a_worker(state=WorkerState.DRAINING), True, 0.0, id="draining"),
    ],
)
def test_workers(worker: WorkerEntry, live: bool, heard_ago: float) -> None:
    (found,) = of(workers=[worker]).workers
    assert (found.live, found.lost, found.heard_ago) == (live, worker.lost, heard_ago)
    assert found.heartbeat == worker.heartbeat


@pytest.mark.parametrize(
    ("worker", "phase", "since", "left"),
    [
        pytest.param(None, "starting", 50.0, 100.0, id="a worker nobody knows"),
        pytest.param(a_worker(), "starting", 50.0, 100.0, id="not in its heartbeat yet"),
        pytest.param(a_worker(runs=(a_status("9-z"),)), "starting", 50.0, 100.0, id="another run in its heartbeat"),
        pytest.param(a_worker(runs=(a_status(),)), "fuzzing", 30.0, 70.0, id="newer in its heartbeat"),
        pytest.param(a_worker(runs=(a_status(since=NOW - 500),)), "fuzzing", 500.0, 0.0, id="over its time"),
        pytest.param(a_worker(runs=(a_status(phase="archiving"),)), "archiving", 30.0, 0.0, id="archiving"),
        pytest.param(a_worker(runs=(a_status(phase="extracting PoCs"),)), "extracting PoCs", 30.0, 0.0, id="PoCs"),
        pytest.param(a_worker(runs=(a_status(phase="pruning seeds"),)), "pruning seeds", 30.0, 100.0, id="pruning"),
        pytest.param(a_worker(at=NOW + 3600, runs=(a_status(since=NOW + 3570),)), "fuzzing", 30.0, 70.0, id="clock"),
        pytest.param(a_worker(heard_at=NOW - 20, runs=(a_status(),)), "fuzzing", 30.0, 70.0, id="heard 20 s ago"),
    ],
)
def test_phase_of_a_run(worker: WorkerEntry | None, phase: str, since: float, left: float) -> None:
    run = a_run("0-a", phase="starting", phase_since=NOW - 50)
    (found,) = of(runs=[(run, AFL)], workers=[worker] if worker else []).running
    assert found.phase == phase
    assert [found.since, found.left] == pytest.approx([since, left])
    assert found.name == ("host w1" if worker else "w1")
    assert found.text == "c0ffee,0,afl,libpng,readpng @@,"


def test_a_run_of_which_little_is_known() -> None:
    (found,) = of(runs=[(a_run("0-a"), AFL)]).running
    assert (found.since, found.left, found.cpus) == (None, 100.0, ())


def test_reported_runs_are_not_running() -> None:
    found = of(runs=[(a_run("0-a", state=RunState.REPORTED), AFL), (a_run("0-b"), AFL)])
    assert [run.run for run in found.running] == ["0-b"]
    assert found.unfetched == 1


def test_bugs_of_runs_without_a_result_are_told_apart() -> None:
    kept = Pair(fuzzer="afl", target="libpng", bugs=Bugs(reached=frozenset("AB"), triggered=frozenset("A")))
    found = of(
        pairs=[kept, replace(kept, target="libtiff")],
        workers=[a_worker(runs=(a_status(triggered=("A", "B")),))],
        runs=[(a_run("0-a"), AFL), (a_run("0-b", state=RunState.REPORTED, triggered=("C",)), AFL)],
    )
    assert [pair.under_way for pair in found.pairs] == [frozenset("BC"), frozenset()]
    assert [pair.bugs for pair in found.pairs] == [kept.bugs, kept.bugs]


READY = a_worker()
BUSY = a_worker(runs=(a_status(),))  # 70 s left on its first CPU
BUSY_RUN = [(a_run("0-a"), AFL)]


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        pytest.param({}, 0.0, id="nothing left"),
        pytest.param({"pairs": [a_pair(done=5, dead=1, fetched=1)]}, 0.0, id="all settled"),
        pytest.param({"pairs": [a_pair(waiting=1)]}, None, id="nobody there"),
        pytest.param({"pairs": [a_pair(waiting=1)], "workers": [a_worker(lost=True)]}, None, id="all lost"),
        pytest.param(
            {"pairs": [a_pair(queued=1)], "workers": [a_worker(state=WorkerState.PREPARING)]}, None, id="not ready"
        ),
        pytest.param(
            {"pairs": [a_pair(queued=1)], "workers": [a_worker(config_id="other")]}, None, id="another campaign's"
        ),
        pytest.param({"pairs": [a_pair(queued=1)], "workers": [a_worker(sets=())]}, None, id="no CPUs"),
        pytest.param({"pairs": [a_pair(waiting=2, queued=1)], "workers": [READY]}, 200.0, id="two rounds"),
        pytest.param({"pairs": [a_pair(waiting=3)], "workers": [READY, a_worker("w2")]}, 100.0, id="two workers"),
        pytest.param({"workers": [BUSY], "runs": BUSY_RUN}, 70.0, id="one still runs"),
        pytest.param({"pairs": [a_pair(waiting=1)], "workers": [BUSY], "runs": BUSY_RUN}, 100.0, id="beside it"),
        pytest.param({"pairs": [a_pair(waiting=2)], "workers": [BUSY], "runs": BUSY_RUN}, 170.0, id="after it"),
        pytest.param(
            {
                "pairs": [a_pair(waiting=1)],
                "workers": [replace(BUSY, lost=True), a_worker("w2")],
                "runs": BUSY_RUN,
            },
            100.0,
            id="one runs where nobody is heard",
        ),
        pytest.param(
            {"campaign": replace(OPEN, state=CampaignState.CANCELLED), "pairs": [a_pair(waiting=9)]},
            0.0,
            id="cancelled",
        ),
        pytest.param(
            {"campaign": replace(OPEN, state=CampaignState.ENDED), "pairs": [a_pair(waiting=9)]}, 0.0, id="ended"
        ),
        pytest.param(
            {"pairs": [a_pair(waiting=2)], "workers": [READY], "demands": {"afl": 2}}, 200.0, id="as wide as the worker"
        ),
        pytest.param(
            {"pairs": [a_pair(waiting=2)], "workers": [READY], "demands": {"afl": 3}}, None, id="too wide for any"
        ),
    ],
)
def test_eta(given: dict[str, Any], seconds: float | None) -> None:
    assert of(**given).eta == (None if seconds is None else pytest.approx(seconds))


def test_pairs_of_jobs_and_runs() -> None:
    jobs = [a_job(0), a_job(1, state=JobState.DONE), a_job(6), a_job(7, state=JobState.DONE)]
    kept = {"state": RunState.KEPT, "reached": ("A", "B"), "triggered": ("B",)}
    runs = [
        a_run("1-a", 1, **kept),
        a_run("7-a", 7, state=RunState.KEPT, reached=("C",)),
        a_run("0-a", 0, reached=("no",), state=RunState.FAILED),
        a_run("99-a", 99, **kept),
    ]
    assert pairs_of(jobs, runs) == (
        Pair(fuzzer="f0", target="t0", counts={JobState.WAITING: 2}),
        Pair(
            fuzzer="f1",
            target="t1",
            counts={JobState.DONE: 2},
            bugs=Bugs(reached=frozenset("ABC"), triggered=frozenset("B")),
        ),
    )
