"""Which images a campaign runs with, kept in its ledger, and which of its trials have none."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from magma_remote.errors import EngineGoneError, LostImageError, RegistryError, UsageError
from magma_remote.model.entries import JobState
from magma_remote.model.outcome import Reason
from magma_remote.runtime.images.provision import ImageState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from magma_remote.model.entries import JobEntry
    from magma_remote.model.pinned import PinnedImage
    from magma_remote.ports import Ledger
    from magma_remote.runtime.images.images import Owner
    from magma_remote.runtime.images.provision import Provided, Provision

Pair = tuple[str, str]

_PINNED = (
    "campaign {id} runs with the images in its dispatcher's registry, and the settings name none any more: bring "
    "REGISTRY back, or name another WORKDIR"
)
_OWN = (
    "campaign {id} began without REGISTRY, and has trials that ran on images which workers had built: others could not "
    "be compared with them; take REGISTRY out of the settings, or name another WORKDIR"
)
_NO_IMAGE = (
    "its image is missing, and is built only when a dispatcher starts: requeue it once more when this one has ended, "
    "then dispatch again"
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Supply:
    """What workers get: the images, and for whom they are made; the pairs in `missing` have none.

    `away` is why the registry could not be asked whether it has them, empty where it has.
    """

    images: tuple[PinnedImage, ...]
    owner: Owner
    missing: frozenset[Pair] = frozenset()
    away: str = ""


def check_registry(ledger: Ledger, registry: str) -> None:
    """UsageError where a campaign would go on with images that come from elsewhere than they did."""
    campaign, pins = ledger.campaign(), ledger.pins()
    if campaign is None:
        return
    if pins and not registry:
        raise UsageError(_PINNED.format(id=campaign.config_id))
    if registry and not pins and ledger.runs():
        raise UsageError(_OWN.format(id=campaign.config_id))


def pinned(ledger: Ledger, owner: Owner) -> Supply:
    """The supply of a campaign that needs nothing more: it has ended, or is being cancelled."""
    return Supply(images=tuple(pin.image for pin in ledger.pins()), owner=owner)


def supply(ledger: Ledger, provision: Provision, pairs: Iterable[Pair], owner: Owner) -> Supply:
    """Have all images that the campaign still needs, and keep them in the ledger before any worker hears of them.

    Jobs of a pair that has none are dead when this returns. A pair whose jobs all have their results needs no image.
    Where all pairs have theirs by now, a registry or engine that is away is in nobody's way: see `Supply.away`. Nor is
    an image that is lost, which workers may have: whoever keeps the images there tells of it.
    """
    left, dead = _open_pairs(ledger)
    known = {pin.image.pair: pin for pin in ledger.pins()}
    has_all = left <= known.keys()
    try:
        provided = _provided(provision, [pair for pair in pairs if pair in left], has_all=has_all)
        again = provision.look(sorted(dead & known.keys() - left))  # a person may let these run
    except (EngineGoneError, RegistryError) as error:
        if not has_all:
            raise
        wanted = left | {_pair(entry) for entry in ledger.jobs(JobState.DEAD) if entry.reason is not Reason.DROPPED}
        images = tuple(pin.image for pair, pin in known.items() if pair in wanted)
        return Supply(images=images, owner=owner, missing=_without(ledger, images), away=str(error))
    there = [each for each in again if each.state is ImageState.PRESENT]
    pins = [each.pin for each in (*provided, *there) if each.pin]
    failed = {each.pair: each.message for each in provided if each.pin is None}
    with ledger.transaction():
        ledger.save_pins(pins)
        bury(ledger, ledger.jobs(JobState.WAITING, JobState.QUEUED), failed)
    images = tuple(pin.image for pin in pins)
    return Supply(images=images, owner=owner, missing=_without(ledger, images))


def _without(ledger: Ledger, images: Iterable[PinnedImage]) -> frozenset[Pair]:
    """Pairs that no worker has an image of: those whose jobs are all done, too, for a person may let one run again."""
    return frozenset({(pair.fuzzer, pair.target) for pair in ledger.pairs()} - {image.pair for image in images})


def _pair(entry: JobEntry) -> Pair:
    return entry.job.fuzzer, entry.job.target


def _provided(provision: Provision, pairs: Sequence[Pair], *, has_all: bool) -> Sequence[Provided]:
    try:
        return provision.ensure(pairs)
    except LostImageError:
        if not has_all:
            raise
        return provision.look(pairs)


def _open_pairs(ledger: Ledger) -> tuple[set[Pair], set[Pair]]:
    """Pairs that have jobs to run, and pairs that have dead ones."""
    every = {(pair.fuzzer, pair.target): pair.counts for pair in ledger.pairs()}
    left = {key for key, counts in every.items() if any(n for state, n in counts.items() if not state.settled)}
    return left, {key for key, counts in every.items() if counts.get(JobState.DEAD)}


def bury(ledger: Ledger, entries: Iterable[JobEntry], why: Mapping[Pair, str]) -> frozenset[int]:
    """Within a transaction: let jobs be dead that have no image; their numbers."""
    gone: dict[Pair, list[int]] = {}
    for entry in entries:
        pair = _pair(entry)
        if pair in why:
            ledger.save_job(replace(entry, state=JobState.DEAD, reason=Reason.IMAGE, message=why[pair]))
            gone.setdefault(pair, []).append(entry.number)
    for pair, numbers in gone.items():
        log.error("%d jobs of %s are dead: %s", len(numbers), "/".join(pair), why[pair])
    return frozenset(number for numbers in gone.values() for number in numbers)


def bury_late(ledger: Ledger, entries: Sequence[JobEntry], missing: frozenset[Pair]) -> frozenset[int]:
    """Jobs that somebody has put back while their images are missing, and nothing builds them; their numbers."""
    if not any(_pair(entry) in missing for entry in entries):
        return frozenset()
    with ledger.transaction():
        now = [found for entry in entries if (found := ledger.job(entry.number)) and found.state is JobState.WAITING]
        return bury(ledger, now, dict.fromkeys(missing, _NO_IMAGE))
