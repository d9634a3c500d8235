"""An engine that is away for a moment is waited for; one that refuses is not, nor one that stays away."""

from __future__ import annotations

import pytest

from magma_remote.errors import EngineError, EngineGoneError
from magma_remote.runtime import patience
from magma_remote.runtime.patience import patiently


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_LOOK", 0.001)


class Act:
    """Raises these in turn, then answers."""

    def __init__(self, *errors: EngineError) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


AWAY = EngineGoneError("away")


@pytest.mark.parametrize("errors", [(), (AWAY,), (AWAY,) * 5], ids=["there", "away", "away-for-long"])
def test_an_engine_that_comes_back(errors: tuple[EngineError, ...]) -> None:
    act = Act(*errors)
    assert patiently(act, seconds=5) == "done"
    assert act.calls == len(errors) + 1


def test_an_engine_that_refuses() -> None:
    act = Act(EngineError("no"))
    with pytest.raises(EngineError, match="no"):
        patiently(act, seconds=5)
    assert act.calls == 1


def test_an_engine_that_stays_away() -> None:
    with pytest.raises(EngineGoneError):
        patiently(Act(*[AWAY] * 10_000), seconds=0.02)
