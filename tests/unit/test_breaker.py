from __future__ import annotations

import pytest

from magma_remote.model.outcome import Reason
from magma_remote.runtime.worker.breaker import FAILURES, Breaker


def failing(*reasons: Reason | None) -> Breaker:
    breaker = Breaker()
    for reason in reasons:
        breaker.ended(reason, "no engine", 100.0)
    return breaker


@pytest.mark.parametrize(
    ("reasons", "pauses"),
    [
        pytest.param([Reason.ENGINE] * (FAILURES - 1), False, id="few"),
        pytest.param([Reason.ENGINE] * FAILURES, True, id="many"),
        pytest.param([Reason.ENGINE, Reason.DISK, Reason.CACHE], True, id="of-several-kinds"),
        pytest.param([Reason.ENGINE, Reason.ENGINE, None, Reason.ENGINE], False, id="a-complete-one-between"),
        pytest.param(
            [Reason.ENGINE, Reason.ENGINE, Reason.INTERRUPTED, Reason.ENGINE], True, id="a-stopped-one-between"
        ),
        pytest.param([Reason.ENDED_EARLY] * 10, False, id="a-fuzzers-own-fault"),
    ],
)
def test_after_failures(reasons: list[Reason | None], *, pauses: bool) -> None:
    assert bool(failing(*reasons).obstacle(100.0)) == pauses


@pytest.mark.parametrize(
    ("failures", "seconds"), [(FAILURES, 60), (FAILURES + 1, 120), (FAILURES + 3, 480), (FAILURES + 40, 3600)]
)
def test_each_pause_is_longer(failures: int, seconds: float) -> None:
    breaker = failing(*[Reason.ENGINE] * failures)
    assert "the last: no engine" in breaker.obstacle(99.0 + seconds)
    assert breaker.obstacle(100.0 + seconds) == ""
