"""From a campaign file's path to everything that a command needs of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from magma_remote.adapters.hjson_file import read_hjson
from magma_remote.adapters.magma_tree import read_tree
from magma_remote.errors import Problem, UsageError
from magma_remote.model.campaign_file import magma_line, magma_path, read_campaign
from magma_remote.model.jobs import expand
from magma_remote.model.notes import notes

if TYPE_CHECKING:
    from magma_remote.model.campaign import Campaign
    from magma_remote.model.document import Table
    from magma_remote.model.jobs import Job
    from magma_remote.model.tree import MagmaTree


MAGMA = click.option(
    "--magma",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Magma tree to use instead of the file's MAGMA.",
)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A campaign file that holds, with the tree that it runs on.

    `root` is the tree's absolute path; `jobs` are in the order in which they are to start; `notes` say
    what may surprise, a sentence each.
    """

    file: Path
    campaign: Campaign
    root: Path
    tree: MagmaTree
    jobs: tuple[Job, ...]
    notes: tuple[str, ...] = ()


def load(file: Path, magma: Path | None) -> Loaded:
    """Read and check a campaign; `magma`, the option `--magma`, wins over the file's MAGMA.

    ConfigError holds everything that is wrong, in file order.
    """
    document = read_hjson(file)
    root, tree, problems = _tree(document, file, magma)
    campaign = read_campaign(document, tree=tree, source=str(file), problems=problems)
    if tree is None:
        raise AssertionError(problems)  # a problem of the tree is one of the campaign's
    return Loaded(
        file=file,
        campaign=campaign,
        root=root,
        tree=tree,
        jobs=expand(campaign, tree),
        notes=tuple(notes(document, campaign)),
    )


def _tree(document: Table, file: Path, magma: Path | None) -> tuple[Path, MagmaTree | None, tuple[Problem, ...]]:
    """The tree and its absolute path, or why there is none. The file's own path is relative to the file."""
    written = magma_path(document)
    line = magma_line(document) if magma is None else None
    if magma is None and written is None:
        # where the key is there with something else than a text, read_campaign says so
        return file, None, (_problem("MAGMA", None, "missing"),) if line is None else ()
    try:
        root = (magma or file.parent / Path(str(written)).expanduser()).resolve()
        return root, read_tree(root), ()
    except (UsageError, OSError, RuntimeError, ValueError) as error:  # a home, a link or a text that is no path
        return file, None, (_problem("MAGMA" if magma is None else "--magma", line, str(error)),)


def _problem(key: str, line: int | None, found: str) -> Problem:
    return Problem(key=key, line=line, found=found, allowed="the path of a Magma tree, or the option --magma DIR")
