"""A lab of systemd hosts for tests: brought up once for all of them, apart from a user's own, and always taken down."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, TextIO

from scripts.lab.objects import Objects
from scripts.lab.state import State, folder
from scripts.setup.shell import Shell
from tests.support.places import ROOT
from tests.support.processes.command import Ended
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DISPATCHER, WORKERS, STRANGER = "dispatcher1", ("worker1", "worker2"), "stranger"
NAMES = tuple(f"test-{number}" for number in range(1, 5))  # of labs of tests that run at the same time
PLAY_SECONDS = 900
_RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)
_CHANGED = re.compile(r"^TASK [^\n]*\n(?:(?!TASK |PLAY )[^\n]*\n)*?changed: [^\n]*", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[\d;]*m")


@dataclass(frozen=True, kw_only=True)
class Recap:
    """A host's line at the end of a play: how many tasks."""

    ok: int
    changed: int
    unreachable: int
    failed: int


@dataclass(frozen=True, kw_only=True)
class Played(Ended):
    """How a playbook ended, host by host."""

    recap: dict[str, Recap]

    @property
    def changed(self) -> dict[str, int]:
        """Hosts that a task has changed, or would have changed, and how many did."""
        return {host: recap.changed for host, recap in self.recap.items() if recap.changed}

    def assert_ok(self) -> Played:
        """Itself, where nothing failed and every host was reached."""
        assert self.code == 0, self.failure
        assert self.recap, self.output
        return self

    def assert_unchanged(self) -> Played:
        """Itself, where it also found nothing to change."""
        self.assert_ok()
        assert self.changed == {}, "\n".join(_CHANGED.findall(_COLOUR.sub("", self.output)))
        return self

    @property
    def failure(self) -> str:
        """From the first task that failed on; all of the output would hide it."""
        before, word, after = self.output.partition("[ERROR]")
        return (before[-500:] + word + after)[:6000] if word else self.output[-6000:]


@dataclass(frozen=True, kw_only=True)
class Lab:
    """A lab that is up."""

    name: str

    @property
    def state(self) -> State:
        """Its files."""
        return State(folder=folder(ROOT, self.name))

    @property
    def objects(self) -> Objects:
        """Its containers."""
        return Objects(shell=Shell(), name=self.name)

    def play(self, playbook: str, *arguments: str, timeout: float = PLAY_SECONDS) -> Played:
        """Run a playbook as a user does, from the repository's root."""
        program = ROOT / ".venv" / "bin" / "ansible-playbook"
        done = run(str(program), playbook, "-i", str(self.state.inventory), *arguments, timeout=timeout)
        return Played(code=done.code, output=done.output, recap=recap(done.output))

    def start_play(self, playbook: str, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a playbook and go on; its output goes to a file."""
        program = ROOT / ".venv" / "bin" / "ansible-playbook"
        argv = [str(program), playbook, "-i", str(self.state.inventory), *arguments]
        with log.open("wb") as output:
            return subprocess.Popen(
                argv,
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def run(self, host: str, *command: str, timeout: float = 60) -> Ended:
        """Run a command on a host as root. It does not go through the network."""
        return run("docker", "exec", self.objects.of(host), *command, timeout=timeout)

    def shell(self, host: str, script: str) -> Ended:
        """Run a shell script there."""
        return self.run(host, "sh", "-c", script)

    def ssh(self, host: str, *command: str, timeout: float = 60) -> Ended:
        """Run a command on a host as Ansible's user, by ssh."""
        options = [
            *("-F", "none", "-i", str(self.state.key), "-o", f'UserKnownHostsFile="{self.state.known_hosts}"'),
            *("-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"),
        ]
        return run("ssh", *options, f"ops@{self.address(host)}", *command, timeout=timeout)

    def hostname(self, host: str) -> str:
        """What it calls itself."""
        return self.run(host, "hostname").text.strip()

    def fault(self, what: str, host: str) -> None:
        """One of `power-off`, `power-on`, `pause`, `unpause`, `cut` and `mend`."""
        command(self.name, what, host)

    def address(self, host: str) -> str:
        """Its address."""
        form = f'{{{{(index .NetworkSettings.Networks "{self.objects.network}").IPAMConfig.IPv4Address}}}}'
        return run("docker", "inspect", "--format", form, self.objects.of(host)).text.strip()


def recap(output: str) -> dict[str, Recap]:
    """The lines of a play's end."""
    lines = _RECAP.findall(_COLOUR.sub("", output))
    names = ("ok", "changed", "unreachable", "failed")
    return {host: Recap(**dict(zip(names, map(int, numbers), strict=True))) for host, *numbers in lines}


def environment() -> dict[str, str]:
    """Ours, without what a developer has set for Ansible."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}


def run(*argv: str, timeout: float = 60, stdin: int | TextIO = subprocess.DEVNULL) -> Ended:
    """Run a program from the repository's root to its end."""
    done = subprocess.run(
        argv,
        cwd=ROOT,
        env=environment(),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
        check=False,
    )
    return Ended(code=done.returncode, output=done.stdout.decode(errors="replace"))


def command(name: str, *words: str, timeout: float = 1500) -> str:
    """Call `scripts.lab` for the lab of this name; it must succeed. Returns what it said."""
    return run(sys.executable, "-m", "scripts.lab", "--name", name, *words, timeout=timeout).text


def wait_for(condition: Callable[[], object], deadline: float) -> None:
    """Wait for a condition that costs a command on a host each time it is asked for."""
    until(condition, deadline, every=0.5)


@contextmanager
def free_name() -> Iterator[str]:
    """A lab's name for us alone: two runs of the tests may share a machine."""
    for name in NAMES:
        with (Path(gettempdir()) / f"magma-remote-{os.getuid()}-lab-{name}").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            yield name
            return
    raise AssertionError(f"{len(NAMES)} runs of the tests have labs here: wait for one of them")


@contextmanager
def new_lab(name: str, arguments: Sequence[str] = ("--stranger",)) -> Iterator[Lab]:
    """A lab, taken down on any way out. One that a killed run of the tests has left is taken down first."""
    command(name, "down")
    command(name, "up", *arguments)
    try:
        yield Lab(name=name)
    finally:
        command(name, "down")
