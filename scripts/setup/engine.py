"""Docker Engine: found, else installed and started by whatever starts services on this machine."""

from __future__ import annotations

import getpass
import os
import signal
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.setup import apt
from scripts.setup.shell import Result, SetupError

if TYPE_CHECKING:
    from scripts.setup.shell import Shell

DEFAULT_HOST = "unix:///var/run/docker.sock"
SYSTEMD = Path("/run/systemd/system")  # exists only where systemd is process 1
INIT_SCRIPT = Path("/etc/init.d/docker")
PID_FILE = Path("/var/run/docker.pid")  # dockerd writes it, however it was started
RECORD = "engine-started-by"


class State(Enum):
    """What became of asking the engine for its version."""

    ANSWERS = "answers"
    DENIED = "denied"
    SILENT = "silent"


def docker_argv(*arguments: str) -> list[str]:
    """The docker command, on the engine that the Docker SDK uses: DOCKER_HOST or the default socket."""
    return ["docker", "--host", os.environ.get("DOCKER_HOST") or DEFAULT_HOST, *arguments]


def docker(shell: Shell, *arguments: str, timeout: float = 30) -> Result:
    """Run the docker command there."""
    return shell.run(docker_argv(*arguments), timeout=timeout)


def probe(shell: Shell) -> tuple[State, str]:
    """The engine's state, and its version where it answers."""
    result = docker(shell, "version", "--format", "{{.Server.Version}}")
    if result.ok:
        return State.ANSWERS, result.output.strip()
    denied = "permission denied" in result.output.lower()
    return (State.DENIED if denied else State.SILENT), result.output.strip()


def ensure(shell: Shell, records: Path) -> str:
    """Make an engine answer. Where one does, nothing is touched.

    `records` is the folder that remembers what was started, for `stop`.
    """
    state, told = probe(shell)
    if state is State.SILENT:
        _refuse_other_host()
        if not shell.which("dockerd"):
            apt.install(shell, "docker.io", "ca-certificates")
            state, told = probe(shell)  # the package starts it where the system lets packages do so
    if state is State.SILENT:
        records.mkdir(parents=True, exist_ok=True)
        (records / RECORD).write_text(_start(shell, records / "dockerd.log"), encoding="ascii")
        state, told = probe(shell)
    if state is State.DENIED:
        raise SetupError(_denied())
    if state is State.SILENT:
        raise SetupError(f"Docker Engine was started but does not answer: {told}")
    return f"Docker Engine {told} answers"


def _refuse_other_host() -> None:
    host = os.environ.get("DOCKER_HOST")
    if host and host != DEFAULT_HOST:
        raise SetupError(f"DOCKER_HOST is {host} and no engine answers there: start that one, or unset DOCKER_HOST")


def _denied() -> str:
    user = getpass.getuser()
    return (
        f"Docker Engine runs, but {user} may not use it. Type:\n    sudo usermod -aG docker {user}\n"
        "then log out and in again (or type: newgrp docker), and call setup again. "
        "The group docker is as powerful as root on this machine"
    )


def _answers(shell: Shell) -> bool:
    return probe(shell)[0] is not State.SILENT


def _start(shell: Shell, log: Path) -> str:
    """Start it and wait until it answers. Returns what started it: `systemd`, `service` or `process`."""
    if SYSTEMD.is_dir():
        _start_by_systemd(shell)
        return "systemd"
    if _start_by_init_script(shell):
        return "service"
    _start_as_process(shell, log)
    return "process"


def _start_by_systemd(shell: Shell) -> None:
    shell.say("starting Docker Engine with systemctl …")
    result = shell.as_root(["systemctl", "start", "docker"], timeout=120)
    if not (result.ok and shell.wait_for(lambda: _answers(shell), timeout=30)):
        journal = shell.run(["journalctl", "-u", "docker", "-n", "20", "--no-pager", "-o", "cat"], timeout=30)
        raise SetupError(f"systemctl start docker did not help:\n{result.tail()}\n{journal.tail(20)}")


def _start_by_init_script(shell: Shell) -> bool:
    if not (INIT_SCRIPT.is_file() and shell.which("service")):
        return False
    shell.say("starting Docker Engine with its init script …")
    # It wants limits that a container may not set, and says nothing of a daemon that died: so ask the engine.
    started = shell.as_root(["service", "docker", "start"], timeout=60)
    return started.ok and shell.wait_for(lambda: _answers(shell), timeout=20)


def _start_as_process(shell: Shell, log: Path) -> None:
    shell.say(f"starting dockerd as a process of its own, log in {log} …")
    process = shell.start_as_root(["dockerd"], log)
    answered = shell.wait_for(lambda: _answers(shell) or process.poll() is not None, timeout=60)
    if not answered or not _answers(shell):
        text = log.read_text(encoding="utf-8", errors="replace")
        raise SetupError(f"dockerd did not come up:\n{Result(code=1, output=text).tail(20)}\nAll of it is in {log}")


def stop(shell: Shell, records: Path) -> str:
    """Stop the engine that `ensure` started, and only that one."""
    record = records / RECORD
    if not record.is_file():
        return "setup started no Docker Engine: nothing to stop"
    how = record.read_text(encoding="ascii")
    if how == "systemd":
        shell.as_root(["systemctl", "stop", "docker.socket", "docker.service"], timeout=120)
    elif how == "service":
        shell.as_root(["service", "docker", "stop"], timeout=60)
    else:
        _stop_process(shell)
    if not shell.wait_for(lambda: not _answers(shell), timeout=40):
        raise SetupError(f"Docker Engine (started by {how}) was told to stop and still answers")
    record.unlink()
    return "Docker Engine is stopped"


def _stop_process(shell: Shell) -> None:
    pid = PID_FILE.read_text(encoding="ascii").strip() if PID_FILE.is_file() else ""
    if not _is_dockerd(pid):
        return
    # by Python, since a bare machine has no kill but its shell's own
    shell.as_root([sys.executable, "-c", f"import os; os.kill({int(pid)}, {signal.SIGTERM:d})"], timeout=20)
    shell.wait_for(lambda: not _is_dockerd(pid), timeout=30)


def _is_dockerd(pid: str) -> bool:
    """Whether this process is a dockerd that runs; one that nobody has waited for yet does not."""
    try:
        status = Path(f"/proc/{int(pid)}/status").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return False
    return status[0].endswith("\tdockerd") and not any(line.startswith("State:\tZ") for line in status)
