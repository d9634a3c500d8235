"""From a campaign file's path to everything that a command needs of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from magma_remote.model.campaign import Campaign
    from magma_remote.model.jobs import Job
    from magma_remote.model.tree import MagmaTree


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A campaign file that holds, with the tree that it runs on.

    `root` is the tree's absolute path; `jobs` are in the order in which they are to start.
    """

    file: Path
    campaign: Campaign
    root: Path
    tree: MagmaTree
    jobs: tuple[Job, ...]


def load(file: Path, magma: Path | None) -> Loaded:
    """Read and check a campaign; `magma`, the option `--magma`, wins over the file's MAGMA.

    ConfigError holds everything that is wrong, in file order.
    """
    raise NotImplementedError
