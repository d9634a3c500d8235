"""What a lab consists of: its hosts, their addresses and their CPUs. Pure."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from scripts.setup.shell import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DISPATCHER, STRANGER = "dispatcher1", "stranger"  # Ansible warns of a host that is called as its group is
SUBNETS = tuple(IPv4Network(f"10.213.{third}.0/24") for third in range(16))  # the first that is free
MOST_WORKERS = 50
_DISPATCHER_AT, _STRANGER_AT = 10, 99  # last number of an address; workers count on from the dispatcher's
_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")


@dataclass(frozen=True, kw_only=True)
class Host:
    """One host. Without `cpus` it may use all; `worker1` is the name of the first worker."""

    name: str
    address: str
    cpus: tuple[int, ...] = ()

    @property
    def is_worker(self) -> bool:
        """Whether it is in the inventory's group of workers."""
        return self.name not in {DISPATCHER, STRANGER}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for. It decides everything but the subnet, where none is asked for."""

    workers: int
    stranger: bool = False
    subnet: str | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A lab as it is to be."""

    subnet: str
    hosts: tuple[Host, ...]

    def as_json(self) -> dict[str, Any]:
        """In plain values."""
        return asdict(self)


def check_name(name: str) -> None:
    """SetupError for a name that could not be part of a container's and a folder's."""
    if not _NAME.fullmatch(name):
        raise SetupError(f"--name {name}: take at most 20 small letters, digits and -, a letter first")


def make_plan(request: Request, *, subnet: IPv4Network, cpus: Sequence[int]) -> Plan:
    """The hosts of a lab on a machine with these CPUs; SetupError where they do not suffice."""
    names = [DISPATCHER, *(f"worker{number}" for number in range(1, request.workers + 1))]
    shares = [(), *share(cpus, request.workers)]
    hosts = [
        Host(name=name, address=str(subnet[_DISPATCHER_AT + index]), cpus=shares[index])
        for index, name in enumerate(names)
    ]
    if request.stranger:
        hosts.append(Host(name=STRANGER, address=str(subnet[_STRANGER_AT])))
    return Plan(subnet=str(subnet), hosts=tuple(hosts))


def share(cpus: Sequence[int], workers: int) -> list[tuple[int, ...]]:
    """CPUs of each worker, the same number for each and none for two."""
    if not 1 <= workers <= MOST_WORKERS:
        raise SetupError(f"--workers {workers}: take 1 to {MOST_WORKERS}")
    if workers > len(cpus):
        raise SetupError(
            f"{workers} workers need {workers} CPUs and this machine has {len(cpus)}: two workers on one CPU would "
            f"each take all of it for their trials. Take --workers {len(cpus)}"
        )
    each = len(cpus) // workers
    return [tuple(cpus[index * each : (index + 1) * each]) for index in range(workers)]


def choose_subnet(asked: str | None, taken: Iterable[IPv4Network]) -> IPv4Network:
    """The subnet asked for, or the first of SUBNETS that overlaps none of `taken`; SetupError where there is none."""
    networks = list(taken)
    candidates = [_parse(asked)] if asked else SUBNETS
    for subnet in candidates:
        if not any(subnet.overlaps(network) for network in networks):
            return subnet
    told = asked or f"{SUBNETS[0]} to {SUBNETS[-1]}"
    raise SetupError(f"{told}: this machine has other networks there. Name a free one: --subnet 10.77.0.0/24")


def _parse(asked: str) -> IPv4Network:
    try:
        subnet = IPv4Network(asked)
    except ValueError as error:
        raise SetupError(f"--subnet {asked}: {error}. Take one such as 10.77.0.0/24") from error
    if subnet.num_addresses <= _STRANGER_AT:
        raise SetupError(f"--subnet {asked} is too small: take a /24, or a /25")
    return subnet
