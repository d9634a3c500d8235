"""Where things of this checkout are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
TREE = DATA / "tree"
"""A Magma tree, as far as our program reads one."""

EXAMPLES = ROOT / "examples"
