"""The commands of the lab."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.lab import building, faults
from scripts.lab.objects import Objects
from scripts.lab.plan import Request, check_name
from scripts.lab.state import DEFAULT_NAME, State, folder
from scripts.setup.shell import SetupError, Shell

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
TREE = ROOT / "examples" / "magma"

FAULTS: dict[str, Callable[[Objects, str], str]] = {
    "power-off": faults.power_off,
    "power-on": faults.power_on,
    "pause": faults.pause,
    "unpause": faults.unpause,
    "cut": faults.cut,
    "mend": faults.mend,
}


class LabShell(Shell):
    """Speaks as the lab."""

    def say(self, text: str) -> None:
        """One line of progress on stdout."""
        print(f"lab: {text}", flush=True)  # noqa: T201 - its output is what a command is for

    def complain(self, text: str) -> None:
        """What went wrong, on stderr."""
        print(f"lab: {text}", file=sys.stderr, flush=True)  # noqa: T201 - as above


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parsed = argparse.ArgumentParser(prog="python3 -m scripts.lab", description=__doc__)
    parsed.add_argument("--name", default=DEFAULT_NAME, help="which lab, where there is more than one (default: lab)")
    commands = parsed.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start a dispatcher and workers")
    up.add_argument("--workers", type=int, default=2, help="how many (default: 2)")
    up.add_argument("--stranger", action="store_true", help="one more host on the network, in no inventory")
    up.add_argument("--subnet", help="the network's addresses (default: the first 10.213.x.0/24 that is free)")
    commands.add_parser("down", help="remove the hosts, their volumes and the network")
    commands.add_parser("status", help="the hosts, their addresses and how they are")
    for name, function in FAULTS.items():
        command = commands.add_parser(name, help=(function.__doc__ or "").strip())
        command.add_argument("host")
    return parsed


def main(arguments: list[str]) -> int:
    """Exit code: 0 done, 1 it could not be done, 2 bad usage, 130 ended by Ctrl-C."""
    parsed = parser().parse_args(arguments)
    shell = LabShell()
    try:
        check_name(parsed.name)
        objects = Objects(shell=shell, name=parsed.name)
        state = State(folder=folder(ROOT, parsed.name))
        _run(parsed, objects, state)
    except SetupError as error:
        shell.complain(str(error))
        return 1
    except KeyboardInterrupt:
        shell.complain("ended by a signal")
        return 130
    return 0


def _run(parsed: argparse.Namespace, objects: Objects, state: State) -> None:
    if parsed.command == "status":
        _status(objects)
        return
    with building.locked(state.folder):
        if parsed.command == "up":
            _up(parsed, objects, state)
        elif parsed.command == "down":
            done = building.down(objects, state)
            objects.shell.say(f"removed {', '.join(done)}" if done else "nothing of it is there")
        else:
            objects.shell.say(FAULTS[parsed.command](objects, parsed.host))


def _up(parsed: argparse.Namespace, objects: Objects, state: State) -> None:
    request = Request(workers=parsed.workers, stranger=parsed.stranger, subnet=parsed.subnet)
    plan = building.up(objects, state, request, tree=TREE)
    if plan is None:
        objects.shell.say("the lab is up already")
    for host in plan.hosts if plan else ():
        cpus = f"CPUs {', '.join(map(str, host.cpus))}" if host.cpus else "all CPUs"
        objects.shell.say(f"{host.name:<10} {host.address:<15} {cpus}")
    _say_next(objects, state)


def _say_next(objects: Objects, state: State) -> None:
    inventory = state.inventory.relative_to(ROOT)
    down = "make lab-down" if objects.name == DEFAULT_NAME else f"python3 -m scripts.lab --name {objects.name} down"
    objects.shell.say(
        f"next:\n    .venv/bin/ansible-playbook deploy.yml -i {inventory}\n"
        f"    .venv/bin/ansible-playbook campaign.yml -i {inventory} -e @examples/demo.hjson -e wait=true\n"
        f"    .venv/bin/ansible-playbook collect.yml -i {inventory}\n"
        f"away with it:\n    {down}"
    )


def _status(objects: Objects) -> None:
    found = objects.found()
    if not found:
        objects.shell.say("not up: call up (make lab)")
    for host in found:
        running = host.state == "running"
        told = "cut off" if running and faults.is_cut(objects, host.host) else host.state
        objects.shell.say(f"{host.host:<10} {faults.address(objects, host.host):<15} {told}")
    if found:
        plan = json.loads(found[0].plan)
        objects.shell.say(f"{plan['workers']} workers; state in {found[0].folder}")
