"""What a worker's mark may say, and how a worker is named."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.errors import TransferError, WireError
from magma_remote.model import wire
from magma_remote.model.mark import read_mark
from magma_remote.model.messages import JobMessage, Place
from magma_remote.model.site import Site, parse_site
from magma_remote.runtime.collecting.leftovers import find
from tests.support.memory.mortals import SlowCrew
from tests.support.memory.untold import lefts, untold
from tests.support.memory.world import CONFIG

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.memory.world import World

PLACE = Place(folder="", workdirs="/srv/w", token="", host="192.0.2.1", port=2222, user="m")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return untold(tmp_path)


class Shelf:
    """`Marks` that stand here."""

    def __init__(self, marks: Mapping[str, Mapping[str, bytes]]) -> None:
        self._marks = marks

    def marks(self, place: Place) -> Mapping[str, bytes]:
        if place.host not in self._marks:
            raise TransferError(f"no route to {place.host}")
        return self._marks[place.host]


def a_mark(world: World, **changes: Any) -> tuple[str, bytes]:
    """Name and text of the first result's, something in it changed."""
    left, job = lefts(world)[0], world.entries()[lefts(world)[0].feedback.number].job
    told = left.feedback
    folder = f"/old/workdir_{told.config_id}_{told.run}"
    feedback = wire.plain(replace(told, place=replace(told.place, workdirs="/old", folder=folder)))
    message = wire.plain(JobMessage(config_id=told.config_id, number=told.number, attempt=told.attempt, job=job))
    facts = {"version": 1, "job": message, "feedback": feedback, "cpus": [0], "message": ""}
    for path, value in changes.items():
        *parts, last = path.split("__")
        inner: Any = facts
        for part in parts:
            inner = inner[part]
        inner[last] = value
    return f"{told.run}.json", json.dumps(facts).encode()


def test_a_mark_is_where_its_worker_is_now(world: World) -> None:
    name, data = a_mark(world)
    found = read_mark(name, data, PLACE).feedback.place
    assert (found.workdirs, found.host, found.port, found.user) == ("/srv/w", "192.0.2.1", 2222, "m")
    assert found.folder == f"/srv/w/workdir_{CONFIG}_{name.removesuffix('.json')}"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"version": 2}, id="version"),
        pytest.param({"version": True}, id="version that is a truth"),
        pytest.param({"job": None}, id="no job"),
        pytest.param({"feedback__run": "../x"}, id="run that climbs"),
        pytest.param({"feedback__run": "other"}, id="another run's name"),
        pytest.param({"feedback__worker": "a/b"}, id="worker that is no name"),
        pytest.param({"feedback__number": 7}, id="number"),
        pytest.param({"feedback__number": "0"}, id="number that is a text"),
        pytest.param({"feedback__attempt": 9}, id="attempt"),
        pytest.param({"job__config_id": "other"}, id="two campaigns"),
        pytest.param({"job__job__fuzzer": "../x"}, id="fuzzer that climbs"),
        pytest.param({"feedback__reached": ["x" * 70_000]}, id="huge"),
        pytest.param({"feedback__started_at": float("nan")}, id="no time"),
    ],
)
def test_a_mark_that_cannot_be(world: World, changes: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        read_mark(*a_mark(world, **changes), PLACE)


def test_marks_become_results_of_the_ledgers_jobs(world: World) -> None:
    name, data = a_mark(world)
    sites = [Site(name="far", place=replace(PLACE, host="192.0.2.2")), Site(name="near", place=PLACE)]
    with closing(SqliteLedger(world.path)) as ledger:
        found = find(sites, Shelf({PLACE.host: {name: data, "y.json": b"{}"}}), SlowCrew(0), ledger, lambda: False)
    assert [left.feedback.run for left in found.lefts] == [name.removesuffix(".json")]
    assert found.unreachable == {"far": "no route to 192.0.2.2"}
    assert len(found.odd) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"feedback__config_id": "f00", "job__config_id": "f00"}, "another campaign"),
        ({"job__job__repeat": 99}, "is another one"),
        ({"feedback__worker": "zz"}, "another worker's"),
        ({"feedback__number": 999, "job__number": 999}, "is another one"),
    ],
    ids=["campaign", "job", "worker", "number"],
)
def test_marks_that_are_none_of_ours_are_left(world: World, changes: dict[str, Any], said: str) -> None:
    name, data = a_mark(world, **changes)
    with closing(SqliteLedger(world.path)) as ledger:
        found = find([Site(name="w", place=PLACE)], Shelf({PLACE.host: {name: data}}), SlowCrew(0), ledger, bool)
    assert found.lefts == ()
    assert said in found.odd[0]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("m@192.0.2.1:/srv/w", ("m", "192.0.2.1", 22, "/srv/w")),
        ("m@worker3:2222:/srv//w/", ("m", "worker3", 2222, "/srv/w")),
        ("m@[2001:db8::1]:/srv/a:b@c", ("m", "2001:db8::1", 22, "/srv/a:b@c")),
        ("m@[2001:db8::1]:22:/w", ("m", "2001:db8::1", 22, "/w")),
    ],
)
def test_a_worker_by_its_address(text: str, place: tuple[str, str, int, str]) -> None:
    found = parse_site(text).place
    assert (found.user, found.host, found.port, found.workdirs) == place


@pytest.mark.parametrize("text", ["", "/w", "m@h", "m@h:w", "m@h:/", "m@2001:db8::1:/w", "m@[h]:/w", "a b@h:/w"])
def test_a_worker_that_has_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"it is not|no user|no IP|cannot be"):
        parse_site(text)
