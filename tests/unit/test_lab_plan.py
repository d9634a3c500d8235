from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from scripts.lab.plan import Request, check_name, choose_subnet, make_plan, share
from scripts.lab.state import inventory
from scripts.setup.shell import SetupError

SUBNET = IPv4Network("10.213.0.0/24")


@pytest.mark.parametrize(
    ("cpus", "workers", "shares"),
    [
        pytest.param([0, 1], 2, [(0,), (1,)], id="one each"),
        pytest.param([0, 1, 2, 3], 2, [(0, 1), (2, 3)], id="two each"),
        pytest.param([0, 1, 2], 2, [(0,), (1,)], id="the same number for each"),
        pytest.param([4, 6], 1, [(4, 6)], id="all for one"),
    ],
)
def test_workers_share_cpus_evenly(cpus: list[int], workers: int, shares: list[tuple[int, ...]]) -> None:
    assert share(cpus, workers) == shares


@pytest.mark.parametrize(
    ("cpus", "workers", "words"),
    [
        pytest.param([0], 2, "2 workers need 2 CPUs and this machine has 1", id="fewer CPUs than workers"),
        pytest.param([0, 1], 0, "take 1 to 50", id="no worker"),
    ],
)
def test_cpus_that_cannot_be_shared(cpus: list[int], workers: int, words: str) -> None:
    with pytest.raises(SetupError, match=words):
        share(cpus, workers)


@pytest.mark.parametrize(
    ("asked", "taken", "chosen"),
    [
        pytest.param(None, [], "10.213.0.0/24", id="the first"),
        pytest.param(None, ["10.213.0.128/25", "10.213.1.0/24"], "10.213.2.0/24", id="the first that is free"),
        pytest.param("10.77.0.0/24", ["10.213.0.0/24"], "10.77.0.0/24", id="the one asked for"),
    ],
)
def test_a_free_subnet_is_chosen(asked: str | None, taken: list[str], chosen: str) -> None:
    assert str(choose_subnet(asked, map(IPv4Network, taken))) == chosen


@pytest.mark.parametrize(
    ("asked", "taken", "words"),
    [
        pytest.param(None, ["10.0.0.0/8"], "Name a free one", id="all taken"),
        pytest.param("10.77.0.0/24", ["10.77.0.0/16"], "Name a free one", id="the one asked for is taken"),
        pytest.param("10.77.0.0/26", [], "too small", id="too small"),
        pytest.param("10.77.0.1/24", [], "has host bits set", id="no network"),
    ],
)
def test_subnets_that_cannot_be_had(asked: str | None, taken: list[str], words: str) -> None:
    with pytest.raises(SetupError, match=words):
        choose_subnet(asked, map(IPv4Network, taken))


@pytest.mark.parametrize("name", ["", "Lab", "1lab", "a/b", "..", "x" * 21])
def test_names_that_no_container_may_have(name: str) -> None:
    with pytest.raises(SetupError, match="--name"):
        check_name(name)


def test_addresses_do_not_depend_on_what_else_there_is() -> None:
    small = make_plan(Request(workers=1), subnet=SUBNET, cpus=[0, 1, 2])
    large = make_plan(Request(workers=3, stranger=True), subnet=SUBNET, cpus=[0, 1, 2])
    addresses = {host.name: host.address for host in large.hosts}
    assert {host.name: host.address for host in small.hosts}.items() <= addresses.items()
    assert addresses["stranger"] == "10.213.0.99"


def test_the_stranger_is_in_no_inventory() -> None:
    plan = make_plan(Request(workers=2, stranger=True), subnet=SUBNET, cpus=[0, 1])
    text = inventory(plan)
    assert "stranger" not in text
    assert "10.213.0.99" not in text
    assert text.index("dispatcher1:") < text.index("workers:") < text.index("worker1:") < text.index("worker2:")
