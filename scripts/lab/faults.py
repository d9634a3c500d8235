"""What may happen to a host: power cut, power back, frozen, line cut, line mended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.lab.building import await_host
from scripts.setup.shell import SetupError

if TYPE_CHECKING:
    from scripts.lab.objects import Found, Objects

# All that goes through eth0, that of the host's own containers too. Dropped and not refused: a line that is cut says
# nothing. A host that is started anew has its line back.
_RULES = (("PREROUTING", "-i"), ("POSTROUTING", "-o"))


def power_off(objects: Objects, host: str) -> str:
    """Everything on it ends at once; its disks stay."""
    found = _find(objects, host)
    if found.state not in {"running", "paused"}:
        return f"{host} is off already"
    objects.call("kill", found.name, what=f"docker kill {found.name}")
    return f"{host} is off"


def power_on(objects: Objects, host: str) -> str:
    """Start it and wait until it is up."""
    found = _find(objects, host)
    if found.state in {"running", "paused"}:
        return f"{host} is on already ({found.state})"
    objects.call("start", found.name, what=f"docker start {found.name}")
    await_host(objects, host, address(objects, host))
    return f"{host} is on"


def pause(objects: Objects, host: str) -> str:
    """Freeze it: it keeps all and does nothing."""
    found = _find(objects, host, "running", "paused")
    if found.state == "running":
        objects.call("pause", found.name, what=f"docker pause {found.name}")
    return f"{host} is frozen"


def unpause(objects: Objects, host: str) -> str:
    """Let it go on."""
    found = _find(objects, host, "running", "paused")
    if found.state == "paused":
        objects.call("unpause", found.name, what=f"docker unpause {found.name}")
    return f"{host} goes on"


def cut(objects: Objects, host: str) -> str:
    """Nothing comes in or goes out any more."""
    _find(objects, host, "running")
    if not is_cut(objects, host):
        for chain, direction in _RULES:
            _iptables(objects, host, "--insert", chain, direction)
    return f"{host} is cut off"


def mend(objects: Objects, host: str) -> str:
    """Its line is whole again."""
    _find(objects, host, "running")
    if is_cut(objects, host):
        for chain, direction in _RULES:
            _iptables(objects, host, "--delete", chain, direction)
    return f"{host} has its line back"


def is_cut(objects: Objects, host: str) -> bool:
    """Whether `cut` was called for this host since it was started."""
    chain, direction = _RULES[0]
    return objects.run(host, *_rule("--check", chain, direction)).ok


def address(objects: Objects, host: str) -> str:
    """Its address, on as well as off."""
    form = f'{{{{(index .NetworkSettings.Networks "{objects.network}").IPAMConfig.IPv4Address}}}}'
    return objects.call("inspect", "--format", form, objects.of(host), what="docker inspect").output.strip()


def _find(objects: Objects, host: str, *states: str) -> Found:
    hosts = {found.host: found for found in objects.found()}
    if not hosts:
        raise SetupError("the lab is not up: call up (make lab)")
    if host not in hosts:
        raise SetupError(f"there is no {host} in this lab: take one of {', '.join(hosts)}")
    if states and hosts[host].state not in states:
        raise SetupError(f"{host} is {hosts[host].state}: {_remedy(hosts[host].state)} first")
    return hosts[host]


def _remedy(state: str) -> str:
    return "unpause it" if state == "paused" else "power-on"


def _rule(action: str, chain: str, direction: str) -> tuple[str, ...]:
    return ("iptables", "--wait", "--table", "mangle", action, chain, direction, "eth0", "--jump", "DROP")


def _iptables(objects: Objects, host: str, action: str, chain: str, direction: str) -> None:
    result = objects.run(host, *_rule(action, chain, direction))
    if not result.ok:
        raise SetupError(f"iptables on {host} failed:\n{result.tail()}")
