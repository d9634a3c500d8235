"""Bringing a lab up and taking it down."""

from __future__ import annotations

import contextlib
import fcntl
import json
import socket
import time
from typing import TYPE_CHECKING

from scripts.lab import machine
from scripts.lab.interruption import Interruption
from scripts.lab.plan import choose_subnet, make_plan
from scripts.lab.state import USER
from scripts.setup.engine import docker
from scripts.setup.shell import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scripts.lab.objects import Found, Objects
    from scripts.lab.plan import Host, Plan, Request
    from scripts.lab.state import State

START_SECONDS = 90.0
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def up(objects: Objects, state: State, request: Request, *, tree: Path) -> Plan | None:
    """Bring the lab up and return its plan; None where it is up already. All of it is taken back on any way out."""
    machine.check(objects.shell)
    existing = objects.found()
    if existing or objects.networks() or objects.volumes():
        _refuse_unless_up(existing, request, state)
        return None
    subnet = choose_subnet(request.subnet, machine.networks(objects.shell))
    plan = make_plan(request, subnet=subnet, cpus=machine.cpus())
    image = objects.build_image()
    with _undone_on_failure(objects, state) as check:
        state.make_key(objects.shell)
        objects.create_network(plan.subnet)
        for host in plan.hosts:
            check()
            _start(objects, state, host, image=image, request=request)
        for host in plan.hosts:
            await_host(objects, host.name, host.address, check=check)
        keys = {host.address: _host_key(objects, host.name) for host in plan.hosts}
        state.write_inventory(plan, host_keys=keys, tree=tree)
    return plan


def down(objects: Objects, state: State) -> list[str]:
    """Remove the lab, or what there is of it. Returns what was removed, in words."""
    for found in objects.found():
        _owned(found, state)
        if found.state == "running":  # so that ssh's shared connections to it end now and not when they time out
            objects.run(found.host, "pkill", "-x", "sshd", timeout=20)
    done = objects.remove()
    state.remove()
    return done


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The lab for us alone, or SetupError."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SetupError(f"another command is at work on this lab ({folder}): wait for it") from error
        yield


def await_host(objects: Objects, host: str, address: str, *, check: Callable[[], None] = lambda: None) -> None:
    """Wait until systemd has started all and ssh answers, or SetupError with what failed; `check` may end it.

    A unit that failed is no reason to wait: where a host is started anew, that is for its owner to look at.
    """
    deadline = time.monotonic() + START_SECONDS
    said = ""
    while time.monotonic() < deadline:
        check()
        said = objects.run(host, "systemctl", "is-system-running").output.strip()
        if said in {"running", "degraded"} and _answers(address):
            return
        time.sleep(0.2)
    units = objects.run(host, "systemctl", "--failed", "--no-legend", "--plain")
    log = docker(objects.shell, "logs", "--tail", "15", objects.of(host))
    raise SetupError(
        f"{host} did not come up within {START_SECONDS:.0f} s: systemd says {said or 'nothing'}, ssh at {address} "
        f"{'answers' if _answers(address) else 'does not answer'}\n{units.tail()}\n{log.tail()}"
    )


def _answers(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def fingerprint(request: Request) -> str:
    """What a lab's containers remember of how it was asked for."""
    return json.dumps({"workers": request.workers, "stranger": request.stranger, "subnet": request.subnet})


def _refuse_unless_up(existing: list[Found], request: Request, state: State) -> None:
    for found in existing:
        _owned(found, state)
    remembered = {found.plan for found in existing}
    expected = json.loads(remembered.pop()) if len(remembered) == 1 else None
    if expected is None or len(existing) != 1 + expected["workers"] + expected["stranger"]:
        raise SetupError("a part of this lab is there, left by an up that was killed. Call down, then up again")
    if request.subnet is None:
        expected["subnet"] = None
    if expected != json.loads(fingerprint(request)):
        raise SetupError(f"the lab is up with other settings ({_words(expected)}). Call down first, then up again")
    absent = [f"{found.host} ({found.state})" for found in existing if found.state != "running"]
    if absent:
        raise SetupError(f"the lab is there, but not all of it runs: {', '.join(absent)}. Call power-on or unpause")
    if not all(path.is_file() for path in state.files() if path != state.resolver):
        raise SetupError(f"the lab is up, but files of it are gone from {state.folder}. Call down, then up again")


def _words(expected: dict[str, object]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in expected.items() if value)


def _owned(found: Found, state: State) -> None:
    if found.folder != str(state.folder):
        raise SetupError(
            f"{found.name} belongs to the lab of {found.folder}: take it down from that checkout, or choose another "
            "--name"
        )


def _start(objects: Objects, state: State, host: Host, *, image: str, request: Request) -> None:
    text = machine.resolver()
    if text:
        state.resolver.write_text(text, encoding="utf-8")
    objects.create_host(
        host,
        image=image,
        plan=fingerprint(request),
        folder=state.folder,
        resolver=state.resolver if text else None,
    )
    name, trusted = objects.of(host.name), machine.certificates()
    objects.call("cp", str(state.public_key), f"{name}:/home/{USER}/.ssh/authorized_keys", what="docker cp")
    if trusted:
        objects.call("cp", "--follow-link", str(trusted), f"{name}:{_CERTIFICATES}", what="docker cp")
    objects.call("start", name, what=f"docker start {name}")


def _host_key(objects: Objects, host: str) -> str:
    result = objects.run(host, "cat", "/etc/ssh/ssh_host_ed25519_key.pub")
    if not result.ok:
        raise SetupError(f"{host} has no host key:\n{result.tail()}")
    return " ".join(result.output.split()[:2])


@contextlib.contextmanager
def _undone_on_failure(objects: Objects, state: State) -> Iterator[Callable[[], None]]:
    """Take all back where the block does not end well. It is given what raises after Ctrl-C or SIGTERM."""
    with Interruption() as interruption:
        try:
            yield interruption.check
        except BaseException:
            objects.shell.say("taking back what was started …")
            down(objects, state)
            raise
