"""Did a trial really run its TIMEOUT? Every reason and warning, and both sides of each boundary."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_remote.model.outcome import Kill, Observation, Reason, Verdict, judge, tolerance

START = 1000.0
MINUTE = 60.0


def seen(ran: float | None = MINUTE, **facts: Any) -> Observation:
    """A minute's trial that was launched at START and terminated `ran` seconds later."""
    defaults: dict[str, Any] = {
        "timeout": MINUTE,
        "launched_at": START,
        "terminated_at": None if ran is None else START + ran,
        "last_stamp": 55,
    }
    return Observation(**defaults | facts)


NEVER = {"launched_at": None}


@pytest.mark.parametrize(
    ("facts", "reason", "said"),
    [
        pytest.param(seen(), None, "", id="complete"),
        pytest.param(seen(59.0), None, "", id="all-but-the-tolerance"),
        pytest.param(seen(58.999), Reason.ENDED_EARLY, "after 59.0 s of 1 min", id="just-under-the-tolerance"),
        pytest.param(seen(4.5, timeout=5.0), None, "", id="short-timeout-tolerates-a-tenth"),
        pytest.param(seen(4.499, timeout=5.0), Reason.ENDED_EARLY, "of 5 s", id="short-timeout-under-it"),
        pytest.param(seen(3.0), Reason.ENDED_EARLY, "after 3.0 s", id="fuzzer-aborted"),
        pytest.param(seen(0.0), Reason.ENDED_EARLY, "after 0.0 s", id="fuzzer-refused"),
        pytest.param(seen(-1.0), Reason.ENDED_EARLY, "", id="terminated-before-launched"),
        pytest.param(seen(None), Reason.ENDED_EARLY, "died before its 1 min", id="container-died"),
        pytest.param(seen(None, **NEVER), Reason.NOT_LAUNCHED, "was never launched", id="no-line-at-all"),
        pytest.param(seen(**NEVER), Reason.NOT_LAUNCHED, "was never launched", id="terminated-alone"),
        pytest.param(
            seen(None, killed=Kill.NOT_LAUNCHED_IN_TIME, **NEVER),
            Reason.NOT_LAUNCHED,
            "seed pruning did not end",
            id="pruning-too-long",
        ),
        pytest.param(
            seen(None, killed=Kill.NOT_LAUNCHED_IN_TIME),
            Reason.ENDED_EARLY,
            "died",
            id="launched-as-it-was-killed",
        ),
        pytest.param(seen(None, killed=Kill.OVERRAN), Reason.OVERRAN, "did not end after its 1 min", id="overran"),
        pytest.param(seen(120.0, killed=Kill.OVERRAN), None, "", id="overran-yet-terminated"),
        pytest.param(seen(10.0, killed=Kill.OVERRAN), Reason.ENDED_EARLY, "", id="early-yet-hung"),
        pytest.param(seen(None, killed=Kill.STOPPED), Reason.INTERRUPTED, "stopped", id="stopped"),
        pytest.param(seen(None, killed=Kill.STOPPED, **NEVER), Reason.INTERRUPTED, "stopped", id="stopped-pruning"),
        pytest.param(seen(killed=Kill.STOPPED), None, "", id="stopped-after-the-terminated-line"),
        pytest.param(seen(9.0, killed=Kill.STOPPED), Reason.ENDED_EARLY, "9.0 s", id="stopped-after-an-early-end"),
        pytest.param(seen(monitored=False), Reason.NO_MONITOR, "monitor wrote nothing", id="no-monitor"),
        pytest.param(seen(3.0, monitored=False), Reason.ENDED_EARLY, "", id="early-says-more-than-no-monitor"),
        pytest.param(seen(59.0 - 3600, clock_step=-3600.0), None, "", id="clock-set-back-meanwhile"),
        pytest.param(seen(70.0, clock_step=30.0), Reason.ENDED_EARLY, "after 40.0 s", id="clock-set-forward-meanwhile"),
        pytest.param(seen(cache_full=True), Reason.CACHE_FULL, "cache was full", id="cache-full"),
        pytest.param(seen(3.0, cache_full=True), Reason.ENDED_EARLY, "", id="early-says-more-than-cache-full"),
    ],
)
def test_reasons(facts: Observation, reason: Reason | None, said: str) -> None:
    verdict = judge(facts)
    assert verdict.reason is reason
    assert said in verdict.message
    assert bool(verdict.message) == bool(reason)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        pytest.param(seen(), None, id="none"),
        pytest.param(seen(65.0), None, id="as-late-as-may-be"),
        pytest.param(seen(66.0), "took 6 s to end", id="late"),
        pytest.param(seen(last_stamp=None), "no canary was ever reached", id="no-canary"),
        pytest.param(seen(last_stamp=30), None, id="silent-from-half-time"),
        pytest.param(seen(last_stamp=29), "no canary data after 29 s of 1 min", id="silent-before-half-time"),
        pytest.param(seen(last_stamp=0), "no canary data after 0 s", id="one-dump"),
        pytest.param(seen(last_stamp=0, poll=15), None, id="too-few-polls-to-tell"),
        pytest.param(seen(last_stamp=0, poll=14), "no canary data", id="enough-polls-to-tell"),
    ],
)
def test_warnings(facts: Observation, said: str | None) -> None:
    verdict = judge(facts)
    assert verdict.reason is None
    assert len(verdict.warnings) == (said is not None)
    assert (said or "") in "".join(verdict.warnings)


def test_warnings_add_up() -> None:
    assert len(judge(seen(90.0, last_stamp=None)).warnings) == 2


def test_a_failure_has_no_warnings() -> None:
    assert judge(seen(1.0, last_stamp=None)).warnings == ()


@pytest.mark.parametrize(("timeout", "seconds"), [(1.0, 0.1), (5.0, 0.5), (10.0, 1.0), (86400.0, 1.0)])
def test_tolerance(timeout: float, seconds: float) -> None:
    assert tolerance(timeout) == pytest.approx(seconds)


@given(
    st.builds(
        Observation,
        timeout=st.floats(0.1, 1e6),
        launched_at=st.none() | st.floats(0, 2e9),
        terminated_at=st.none() | st.floats(0, 2e9),
        killed=st.none() | st.sampled_from(Kill),
        monitored=st.booleans(),
        last_stamp=st.none() | st.integers(0, 10**6),
        poll=st.integers(1, 100),
        cache_full=st.booleans(),
    )
)
def test_only_a_whole_run_is_complete(facts: Observation) -> None:
    verdict = judge(facts)
    assert isinstance(verdict, Verdict)
    if verdict.reason is None:
        assert facts.launched_at is not None
        assert facts.terminated_at is not None
        assert facts.terminated_at - facts.launched_at >= facts.timeout - 1
        assert facts.monitored
        assert not facts.cache_full


@pytest.mark.parametrize(("step", "named"), [(0.5, False), (-0.5, False), (7.0, True), (-7.0, True)])
def test_a_clock_that_was_set_is_named(step: float, *, named: bool) -> None:
    verdict = judge(seen(MINUTE + step, clock_step=step))
    assert verdict.reason is None
    assert any(f"set by {step:+.0f} s" in warning for warning in verdict.warnings) == named
