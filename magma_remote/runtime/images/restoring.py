"""A campaign's images in the registry, for as long as it runs: what is lost there is pushed again, the very same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magma_remote.errors import BusyError, LostImageError, RegistryError
from magma_remote.model.image import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from magma_remote.model.entries import PinEntry
    from magma_remote.ports import BuildReporter, Registry, Runner

Pair = tuple[str, str]

_LOST = (
    "the image {name}, which this campaign runs with, is neither in the registry at {registry} nor on this machine any "
    "more, and another one could not be compared with it: bring back the registry's data, or name another WORKDIR"
)
_OTHER = (
    "the image {name} is not what this campaign runs with any more: in the registry it got the digest {found}, and "
    "{pinned} is lost there; bring back the registry's data, or name another WORKDIR"
)
_WAITS = (
    "the registry at {registry} has lost the image {name}. {why}; `magma-remote drain` lets a worker of this campaign "
    "that is on this machine leave sooner"
)


class Restoring:
    """Nothing is ever built here, and no pin changes. `alone` keeps trials off this machine for its block.

    `alone` raises BusyError where they cannot be kept off now.
    """

    def __init__(
        self,
        *,
        runner: Runner,
        registry: Registry,
        reporter: BuildReporter,
        alone: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._runner = runner
        self._registry = registry
        self._reporter = reporter
        self._alone = alone
        self._told: set[Pair] = set()
        self._other: dict[Pair, str] = {}
        self.stuck: frozenset[Pair] = frozenset()
        """Those whose last push failed: a next one is no small request, and takes the machine from trials meanwhile."""

    def lost(self, pins: Iterable[PinEntry]) -> list[PinEntry]:
        """Those that the registry does not have; RegistryError and EngineError where nobody can tell."""
        asked = tuple(pins)
        lost = [pin for pin in asked if not self._registry.has(pin.image)]
        self.stuck -= {pin.image.pair for pin in asked} - {pin.image.pair for pin in lost}
        return lost

    def restore(self, lost: Sequence[PinEntry]) -> dict[Pair, str]:
        """Push them again; why one is still not there, by its pair. Errors as above where registry or engine fail."""
        if not lost:
            return {}
        try:
            with self._alone():
                return {pin.image.pair: why for pin in lost if (why := self._try(pin))}
        except BusyError as error:
            registry = self._registry.address
            return {pin.image.pair: _WAITS.format(name=pin.image.name, registry=registry, why=error) for pin in lost}

    def _try(self, pin: PinEntry) -> str:
        try:
            self.push(pin)
        except LostImageError as error:
            return str(error)
        except RegistryError as error:
            self._registry.has(pin.image)  # raises where the registry is away: then nobody else's turn is it now
            self.stuck |= {pin.image.pair}
            return f"the registry has lost the image {pin.image.name}, and it cannot be pushed again: {error}"
        self.stuck -= {pin.image.pair}
        return ""

    def push(self, pin: PinEntry) -> None:
        """Push it from this machine's engine: the very same, or LostImageError. One that became another is let be."""
        pair, manifest, registry = pin.image.pair, pin.image.manifest, self._registry.address
        if pair in self._other:
            raise LostImageError(self._other[pair])
        recipe = Recipe(fuzzer=pair[0], target=pair[1], build_args={}, digest=pin.recipe)
        image = self._runner.image_id(pin.image.reference(registry)) or self._runner.find(recipe)
        if image is None:
            raise LostImageError(_LOST.format(name=recipe.tag, registry=registry))
        if pair not in self._told:  # a push that fails is tried again and again
            self._reporter.note(f"The registry at {registry} has lost {recipe.tag}: pushing it again")
            self._told.add(pair)
        found = self._registry.push(image, recipe.name, tag_of(recipe))
        if found != manifest:
            self._other[pair] = _OTHER.format(name=recipe.tag, found=found, pinned=manifest)
            raise LostImageError(self._other[pair])
        self._reporter.note(f"The registry at {registry} has {recipe.tag} again, with the same digest")
        self._told.discard(pair)


def tag_of(recipe: Recipe) -> str:
    """The tag of an image in the registry, which people read and nothing else."""
    return recipe.tag.rpartition(":")[2]
