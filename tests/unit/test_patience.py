"""An engine that is away for a moment is waited for; one that refuses is not, nor one that stays away."""

from __future__ import annotations

import pytest

from magma_remote.adapters.memory import MemoryRunner
from magma_remote.errors import EngineError
from magma_remote.runtime import patience
from magma_remote.runtime.patience import patiently


class Away(MemoryRunner):
    """An engine whose `check` fails so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def check(self) -> None:
        self.times -= 1
        if self.times >= 0:
            raise EngineError("away")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_LOOK", 0.001)


@pytest.mark.parametrize(
    ("away", "fails", "done"),
    [
        pytest.param(0, 0, True, id="all-is-well"),
        pytest.param(3, 1, True, id="away-for-a-moment"),
        pytest.param(0, 1, False, id="there-and-refusing"),
        pytest.param(10**9, 1, False, id="gone"),
    ],
)
def test_patience(away: int, fails: int, *, done: bool) -> None:
    left, calls = iter(range(fails)), list[int]()

    def act() -> None:
        calls.append(1)
        for _ in left:
            raise EngineError("not now")

    if done:
        patiently(Away(away), act, seconds=5 if away else 0)
    else:
        with pytest.raises(EngineError, match="not now"):
            patiently(Away(away), act, seconds=0.05)
    assert len(calls) == 1 + (fails if done else 0)
