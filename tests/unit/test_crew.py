from __future__ import annotations

import threading
import time
from collections import deque
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.crew import LooseCrew, ThreadCrew

if TYPE_CHECKING:
    from collections.abc import Iterator

    from magma_remote.ports import Crew

DEADLINE = 10.0


@pytest.fixture
def crew() -> Iterator[ThreadCrew]:
    made = ThreadCrew(1)
    yield made
    made.close()


def ended(crew: Crew, count: int) -> dict[str, Exception | None]:
    found: dict[str, Exception | None] = {}
    end = time.monotonic() + DEADLINE
    while len(found) < count:
        assert time.monotonic() < end
        crew.wait(DEADLINE)
        found |= dict(crew.ended())
    return found


def test_what_a_task_raises_is_told(crew: ThreadCrew) -> None:
    crew.submit("well", lambda: None)
    crew.submit("ill", lambda: deque[None]().pop())
    found = ended(crew, 2)
    assert found["well"] is None
    assert isinstance(found["ill"], IndexError)
    assert not crew.ended()


def test_what_is_to_be_first_goes_before_all_that_waits(crew: ThreadCrew) -> None:
    begun, go_on, order = Event(), Event(), list[str]()

    def block() -> None:
        begun.set()
        assert go_on.wait(DEADLINE)

    crew.submit("block", block)
    assert begun.wait(DEADLINE)
    for name in ("a", "b"):
        crew.submit(name, partial(order.append, name))
    crew.submit("first", partial(order.append, "first"), first=True)
    go_on.set()
    ended(crew, 4)
    assert order == ["first", "a", "b"]


def test_waiting_ends_with_the_time_or_at_once_where_something_has_ended(crew: ThreadCrew) -> None:
    crew.wait(0.01)
    assert not crew.ended()
    crew.submit("task", lambda: None)
    begun = time.monotonic()
    crew.wait(DEADLINE)
    assert time.monotonic() - begun < DEADLINE / 2
    assert crew.ended() == [("task", None)]


def test_nobody_waits_for_a_loose_crew() -> None:
    crew, go_on = LooseCrew(), Event()

    def block() -> None:
        assert go_on.wait(DEADLINE)

    crew.submit("block", block)
    begun = time.monotonic()
    crew.close()
    assert time.monotonic() - begun < DEADLINE / 2
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "block")
    assert thread.daemon
    go_on.set()
    crew.submit("ill", lambda: deque[None]().pop())
    found = ended(crew, 2)
    assert found["block"] is None
    assert isinstance(found["ill"], IndexError)
