"""What is told of a campaign before, while and after it runs."""

from __future__ import annotations

from typing import Any

import pytest

from magma_remote.errors import CpuError
from magma_remote.model.completeness import table
from magma_remote.model.eta import Slots
from magma_remote.model.plan import plan
from magma_remote.model.progress_line import progress_line, time_left

ONE, TWO = Slots(sets=((0,),)), Slots(sets=((0,), (1,)))


@pytest.mark.parametrize(
    ("trials", "demands", "workers", "seconds"),
    [
        pytest.param({"afl": 4}, {"afl": 1}, {"a": TWO}, 20.0, id="two rounds"),
        pytest.param({"afl": 4}, {"afl": 1}, {"a": TWO, "b": TWO}, 10.0, id="two workers"),
        pytest.param({"afl": 2, "wide": 2}, {"wide": 2}, {"a": TWO}, 30.0, id="a wide one takes both"),
        pytest.param({"afl": 3, "wide": 1}, {"wide": 2}, {"a": ONE, "b": TWO}, 20.0, id="a narrow worker helps"),
        pytest.param({}, {}, {"a": ONE}, 0.0, id="nothing to do"),
    ],
)
def test_how_long_it_lasts(
    trials: dict[str, int], demands: dict[str, int], workers: dict[str, Slots], seconds: float
) -> None:
    assert plan(trials, 10.0, demands, workers).seconds == seconds


def test_a_plan_for_people() -> None:
    told = str(plan({"afl": 2}, 3600.0, {}, {"a": ONE}))
    assert told == "2 trials of 1 h on 1 CPU set of 1 worker: about 2 h, and what archiving takes"


@pytest.mark.parametrize(
    ("workers", "words"),
    [
        pytest.param({}, "no worker is there", id="nobody"),
        pytest.param({"a": ONE, "b": ONE}, r"for one trial: wide \(2\)", id="too narrow, each of them"),
    ],
)
def test_what_runs_nowhere(workers: dict[str, Slots], words: str) -> None:
    with pytest.raises(CpuError, match=words):
        plan({"afl": 1, "wide": 1}, 10.0, {"wide": 2}, workers)


def status(**members: Any) -> dict[str, Any]:
    counts = {"waiting": 0, "queued": 0, "running": 0, "fetched": 0, "done": 0, "dead": 0} | members.pop("counts", {})
    campaign = {"state": "open", "ended_at": None}
    return {"campaign": campaign, "total": 4, "unfetched": 0, "eta": 60.0, "workers": [], "counts": counts, **members}


def worker(state: str, *, lost: bool = False, detail: str = "") -> dict[str, Any]:
    return {"name": "w1", "state": state, "lost": lost, "detail": detail}


OVER = {"state": "ended", "ended_at": 5.0}


@pytest.mark.parametrize(
    ("found", "line"),
    [
        pytest.param(status(), "0 of 4 trials complete", id="at first"),
        pytest.param(status(counts={"done": 4}), "4 of 4 trials complete", id="at last"),
        pytest.param(
            status(counts={"done": 1, "running": 3, "waiting": 1, "queued": 1, "dead": 1, "fetched": 1}, unfetched=2),
            "1 of 4 trials complete, 1 running, 3 being fetched, 2 to come, 1 given up",
            id="all at once",
        ),
        pytest.param(
            status(counts={"done": 2, "running": 1, "fetched": 1}, unfetched=2),
            "2 of 4 trials complete, 2 being fetched",
            id="two results of one trial",
        ),
        pytest.param(status(workers=[worker("ready")]), "0 of 4 trials complete", id="worker ready"),
        pytest.param(
            status(workers=[worker("ready", lost=True)]), "0 of 4 trials complete; w1: lost", id="worker lost"
        ),
        pytest.param(status(workers=[worker("stopped", lost=True)]), "0 of 4 trials complete", id="worker gone"),
        pytest.param(
            status(workers=[worker("unfit", detail="its disk is full\x1b[0m")]),
            "0 of 4 trials complete; w1: unfit (its disk is full)",
            id="worker unfit",
        ),
        pytest.param(
            status(campaign=OVER, workers=[worker("unfit")]), "0 of 4 trials complete", id="worker no matter any more"
        ),
    ],
)
def test_a_line_of_progress(found: dict[str, Any], line: str) -> None:
    assert progress_line(found) == line


@pytest.mark.parametrize(
    ("found", "told"),
    [
        pytest.param(status(), "about 1 min left", id="known"),
        pytest.param(status(eta=None), "no worker is ready for what is left", id="unknown"),
        pytest.param(status(eta=0.0), "no trial is left to run", id="nothing"),
        pytest.param(status(campaign=OVER), "", id="ended"),
        pytest.param(status(campaign={"state": "cancelled", "ended_at": None}), "being cancelled", id="cancelled"),
    ],
)
def test_the_time_that_is_left(found: dict[str, Any], told: str) -> None:
    assert time_left(found) == told


def test_a_table_of_what_is_complete() -> None:
    groups = [("afl", "libpng", "reader", 2, 2), ("afl", "libtiff", "tiffcp", 1, 2), ("lf", "libpng", "reader", 0, 2)]
    assert list(table(groups)) == [
        "fuzzer  target   program  complete",
        "afl     libpng   reader   2 of 2",
        "afl     libtiff  tiffcp   1 of 2    partial",
        "lf      libpng   reader   0 of 2    missing",
    ]
