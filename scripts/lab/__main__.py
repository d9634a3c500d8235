"""`python3 -m scripts.lab COMMAND`, from the root of the checkout."""

from __future__ import annotations

import sys

OLDEST = (3, 11)

if sys.version_info < OLDEST:
    sys.stderr.write(f"lab: {sys.executable} is too old: make setup finds one that is not, then make lab\n")
    sys.exit(1)

from scripts.lab.cli import main  # noqa: E402 - an old Python could not even parse it

sys.exit(main(sys.argv[1:]))
