"""Whether two Magma trees make the same images of a campaign, wherever and for whomever they are built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magma_remote.model import image
from magma_remote.runtime.images.context import Context

if TYPE_CHECKING:
    from pathlib import Path

    from magma_remote.model.campaign import Campaign
    from magma_remote.model.image import Entry

_ANYBODY = 1000


def pairs(campaign: Campaign) -> tuple[tuple[str, str], ...]:
    """Each (fuzzer, target) that has an image, in the order of the file."""
    return tuple((fuzzer, target) for fuzzer in campaign.fuzzers for target in campaign.targets_for(fuzzer))


def tree_digest(campaign: Campaign, root: Path, context: Context | None = None) -> str:
    """SHA-256 (hex) of all files of the tree that the campaign's images are made from.

    StorageError where the tree cannot be read. What a given `context` has digested by then is what it packs.
    """
    context = context or Context(root)
    return image.sources_digest(entry for pair in pairs(campaign) for entry in _entries(campaign, pair, context))


def pair_digests(campaign: Campaign, context: Context) -> dict[tuple[str, str], str]:
    """SHA-256 (hex) of what each (fuzzer, target) alone is made from; StorageError where the tree cannot be read."""
    return {pair: image.sources_digest(_entries(campaign, pair, context)) for pair in pairs(campaign)}


def _entries(campaign: Campaign, pair: tuple[str, str], context: Context) -> tuple[Entry, ...]:
    args = image.build_args(campaign, *pair, uid=_ANYBODY, gid=_ANYBODY)
    return context.entries(context.sources(args).paths)
