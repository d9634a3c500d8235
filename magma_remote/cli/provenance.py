"""Writes down where results come from: what the commands do that make a WORKDIR."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from magma_remote.adapters.git import tree_origin
from magma_remote.adapters.text_file import read_text
from magma_remote.cli.reading import settings_in, settings_of
from magma_remote.model.layout import Workdir
from magma_remote.runtime.dispatcher.operations import campaign_of
from magma_remote.runtime.images.tree_digest import tree_digest
from magma_remote.runtime.workdir.origin import UNKNOWN, note_later, note_origin
from magma_remote.runtime.workdir.provenance import write_provenance
from magma_remote.runtime.workdir.sealing import QuickrunFacts, seal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from magma_remote.adapters.sqlite import SqliteLedger
    from magma_remote.cli.loading import Loaded
    from magma_remote.model.result import Result


def note_tree(workdir: Path, magma: Path, tree: str, ledger: SqliteLedger) -> bool:
    """For a dispatcher, as it starts: keep the commit of the tree whose digest is `tree`.

    Whether the campaign was extended with trees of which nothing was kept yet: they are now.
    """
    place, campaign, known = Workdir(workdir), campaign_of(ledger), tree_origin(magma)
    first = campaign.editions[0].tree if campaign.editions else campaign.tree
    note_origin(place, known if first == tree else UNKNOWN)
    return note_later(place, campaign, tree, known)


def tell_dispatched(workdir: Path, ledger: SqliteLedger) -> Path:
    """Write manifest.json of a dispatched campaign as it is now; where it is. Whoever calls holds WORKDIR's lock."""
    return write_provenance(Workdir(workdir), ledger, settings_of(ledger))


def quickrun_facts(loaded: Loaded) -> QuickrunFacts:
    """What is so before the first trial, and may be another thing after the last one."""
    text = read_text(loaded.file)
    return QuickrunFacts(
        source=loaded.file.name,
        text=text,
        settings=settings_in(text),
        timeout=loaded.campaign.timeout.seconds,
        tree=tree_digest(loaded.campaign, loaded.root),
        host=socket.gethostname(),
        magma=tree_origin(loaded.root),
    )


def tell_quickrun(workdir: Workdir, facts: QuickrunFacts, results: Sequence[Result]) -> Path:
    """Write manifest.json of a quickrun, and a manifest of each complete trial's files; where the first is."""
    return seal(workdir, facts, results)
