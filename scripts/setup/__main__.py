"""`python3 -m scripts.setup [--controller | --stop-engine]`, from the root of the checkout.

This file alone must run on any Python 3.7+: it looks for one that is new enough, and says so where none is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)
NEWER = tuple(f"python3.{minor}" for minor in range(14, OLDEST[1] - 1, -1))


def new_enough(program: str) -> bool:
    """Whether `program` runs (a pyenv shim may not) and is no older than OLDEST."""
    code = f"import sys; sys.exit(sys.version_info < {OLDEST})"
    return subprocess.run([program, "-c", code], check=False, capture_output=True, timeout=60).returncode == 0


def with_newer_python() -> int:
    """Start again under a newer Python of this machine; returns only where there is none."""
    for program in filter(None, map(shutil.which, NEWER)):
        if new_enough(program):
            os.execv(program, [program, "-m", "scripts.setup", *sys.argv[1:]])  # noqa: S606 - the same program again, no shell is missing
    found = ".".join(map(str, sys.version_info[:3]))
    sys.stderr.write(
        f"setup: python: {sys.executable} is Python {found}; 3.11 or newer is needed, and no python3.11 "
        "to python3.14 is on PATH. Install one (Debian 12, Ubuntu 24.04: apt-get install python3), "
        "or name one: make setup PYTHON=/path/to/python3.11\n"
    )
    return 1


def start() -> int:
    """Setup itself, imported late because its modules need a new Python."""
    if sys.version_info < OLDEST:
        return with_newer_python()
    from scripts.setup.steps import main  # noqa: PLC0415 - an old Python could not even parse it

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(start())
