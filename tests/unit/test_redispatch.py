from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from magma_remote.model.entries import JobEntry, JobState
from magma_remote.model.jobs import Job
from magma_remote.model.outcome import Reason
from magma_remote.model.redispatch import after_failure, after_loss

ENTRY = JobEntry(
    number=7,
    job=Job(repeat=0, fuzzer="afl", target="libpng", program="read"),
    state=JobState.RUNNING,
    attempts=1,
    queue_id=3,
)
SETTLED = [JobState.FETCHED, JobState.DONE, JobState.DEAD]


def failed(entry: JobEntry, *, reason: Reason = Reason.ENDED_EARLY, live: int = 0, others: Any = ()) -> JobEntry:
    return after_failure(
        entry, reason=reason, message="why", worker="w1", max_attempts=3, others=others, live_runs=live
    )


@pytest.mark.parametrize("state", SETTLED)
def test_a_settled_job_stays(state: JobState) -> None:
    entry = replace(ENTRY, state=state)
    assert failed(entry) == entry
    assert after_loss(entry, message="why", max_attempts=3, live_runs=0) == entry


def test_a_job_with_another_live_run_stays() -> None:
    assert failed(ENTRY, live=1) == ENTRY
    assert after_loss(ENTRY, message="why", max_attempts=3, live_runs=1) == ENTRY


@pytest.mark.parametrize(
    ("attempts", "state"), [(1, JobState.WAITING), (2, JobState.WAITING), (3, JobState.DEAD), (4, JobState.DEAD)]
)
def test_a_failure_is_tried_again_until_it_is_enough(attempts: int, state: JobState) -> None:
    after = failed(replace(ENTRY, attempts=attempts))
    assert (after.state, after.reason, after.message, after.queue_id) == (state, Reason.ENDED_EARLY, "why", None)


@pytest.mark.parametrize(
    ("others", "avoided", "avoid"),
    [
        pytest.param({"w1", "w2"}, (), ("w1",), id="another-one-lives"),
        pytest.param({"w1"}, (), (), id="nobody-else"),
        pytest.param({"w1", "w2"}, ("w2",), (), id="all-have-failed-it"),
        pytest.param({"w1", "w2", "w3"}, ("w2",), ("w1", "w2"), id="one-is-left"),
        pytest.param(set(), (), (), id="nobody"),
    ],
)
def test_it_goes_to_another_worker_where_one_lives(
    others: set[str], avoided: tuple[str, ...], avoid: tuple[str, ...]
) -> None:
    assert failed(replace(ENTRY, avoid=avoided), others=others).avoid == avoid


@pytest.mark.parametrize("reason", [Reason.CONFIG, Reason.SUPERSEDED])
def test_what_is_no_fault_of_the_job_is_no_reason(reason: Reason) -> None:
    after = failed(replace(ENTRY, attempts=3), reason=reason)
    assert (after.state, after.reason, after.avoid) == (JobState.WAITING, None, ())


@pytest.mark.parametrize(
    ("attempts", "queue_id", "state"),
    [
        pytest.param(1, 3, JobState.QUEUED, id="its-message-is-ready-again"),
        pytest.param(1, None, JobState.WAITING, id="it-has-no-message"),
        pytest.param(3, 3, JobState.DEAD, id="it-kills-workers"),
    ],
)
def test_after_a_loss(attempts: int, queue_id: int | None, state: JobState) -> None:
    entry = replace(ENTRY, attempts=attempts, queue_id=queue_id)
    after = after_loss(entry, message="why", max_attempts=3, live_runs=0)
    assert (after.state, after.reason, after.queue_id) == (state, Reason.LOST, queue_id)
