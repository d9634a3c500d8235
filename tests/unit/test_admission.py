from __future__ import annotations

import pytest

from magma_remote.model.admission import Abilities, Admission, Choice, History, admit
from magma_remote.model.jobs import Job
from magma_remote.model.messages import JobMessage

JOB = Job(repeat=0, fuzzer="afl", target="libpng", program="read")
RUN = Admission(choice=Choice.RUN)
LOST = Admission(choice=Choice.LOST)


def later(delay: int, *, returning: bool = False) -> Admission:
    return Admission(choice=Choice.LATER, delay=delay, returning=returning)


def history(*, reserves: int = 1, releases: int = 0, timeouts: int = 0, returning: bool = False) -> History:
    return History(reserves=reserves, releases=releases, timeouts=timeouts, returning=returning)


def abilities(
    *, free: int = 1, wants: int = 1, cannot: tuple[str, ...] = (), running: tuple[int, ...] = ()
) -> Abilities:
    return Abilities(worker="me", free=free, demands={"afl": wants}, cannot=cannot, running=running)


@pytest.mark.parametrize(
    ("known", "can", "avoid", "expected"),
    [
        pytest.param(history(), abilities(), (), RUN, id="a-new-job"),
        pytest.param(history(reserves=4, releases=3), abilities(), (), RUN, id="given-back-on-purpose"),
        pytest.param(history(reserves=2), abilities(), (), later(60, returning=True), id="its-connection-broke"),
        pytest.param(history(reserves=3, releases=1, returning=True), abilities(), (), RUN, id="it-has-waited"),
        pytest.param(history(reserves=2, timeouts=1), abilities(), (), RUN, id="nobody-touched-it"),
        pytest.param(history(reserves=4), abilities(), (), LOST, id="lost-again-and-again"),
        pytest.param(history(reserves=5, releases=1, returning=True), abilities(), (), LOST, id="lost-after-waiting"),
        pytest.param(history(), abilities(running=(7,)), (), later(60), id="runs-here-already"),
        pytest.param(
            history(reserves=9), abilities(running=(7,)), (), later(60, returning=True), id="our-own-broken-one"
        ),
        pytest.param(history(), abilities(), ("me",), later(2), id="failed-here"),
        pytest.param(history(), abilities(), ("other",), RUN, id="failed-elsewhere"),
        pytest.param(history(), abilities(cannot=("afl",)), (), later(20), id="cannot"),
        pytest.param(history(), abilities(free=2, wants=3), (), later(2), id="too-wide-now"),
        pytest.param(history(), abilities(free=3, wants=3), (), RUN, id="wide-enough"),
        pytest.param(
            history(reserves=3, releases=1, returning=True),
            abilities(free=0),
            (),
            later(2, returning=True),
            id="stays-marked",
        ),
    ],
)
def test_admission(known: History, can: Abilities, avoid: tuple[str, ...], expected: Admission) -> None:
    message = JobMessage(config_id="c", number=7, attempt=1, job=JOB, avoid=avoid)
    assert admit(message, known, can, ttr=120, max_attempts=3) == expected
