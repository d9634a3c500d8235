"""The steps of setup in their order. Each looks first, and changes only what is missing."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

from scripts.setup import base_image, engine, galaxy, kernel, programs, python_env
from scripts.setup.shell import SetupError, Shell

ROOT = Path(__file__).resolve().parents[2]

Step = Callable[[Shell], str]


def controller() -> tuple[tuple[str, Step], ...]:
    """Name and action of the steps that a machine needs that only calls ansible-playbook."""
    return (
        ("python", lambda shell: python_env.ensure(shell, ROOT)),
        ("galaxy", lambda shell: galaxy.ensure(shell, ROOT)),
    )


def steps() -> tuple[tuple[str, Step], ...]:
    """All of them; an action returns one line that says what is there now."""
    return (
        *controller(),
        ("engine", lambda shell: engine.ensure(shell, ROOT / ".cache")),
        ("image", lambda shell: base_image.ensure(shell, base_image.cache_folder())),
        ("kernel", kernel.ensure),
        ("queue", programs.ensure),
    )


def take(shell: Shell, todo: Iterable[tuple[str, Step]]) -> int:
    """Take the steps; the first that cannot be done ends setup with what to do about it."""
    for name, step in todo:
        shell.part = name
        try:
            shell.say(step(shell))
        except SetupError as error:
            shell.complain(str(error))
            return 1
    return 0


def main(arguments: list[str]) -> int:
    """Exit code: 0 all is there, 1 something is missing and could not be had, 2 bad usage."""
    parser = argparse.ArgumentParser(prog="python3 -m scripts.setup", description=__doc__)
    parser.add_argument("--stop-engine", action="store_true", help="stop the Docker Engine that setup started")
    parser.add_argument("--controller", action="store_true", help="no more than a machine needs that calls Ansible")
    chosen = parser.parse_args(arguments)
    if chosen.stop_engine:
        return take(Shell(), [("engine", lambda shell: engine.stop(shell, ROOT / ".cache"))])
    return take(Shell(), controller() if chosen.controller else steps())
