"""The image of a trial that is over: the very one that it ran in, or, where nobody knows which, a named one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from magma_remote.errors import BuildError, EngineError, EngineGoneError, RegistryError, StorageError, UsageError
from magma_remote.model.image import Recipe, image_name
from magma_remote.runtime.images.images import Image

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from magma_remote.model.pinned import PinnedImage
    from magma_remote.ports import BuildReporter, Registry, Runner
    from magma_remote.runtime.extracting.known import Known
    from magma_remote.runtime.images.images import Images

Pair = tuple[str, str]

_OTHER = (
    "the tree makes another image of {pair} (recipe {now}) than its trials ran in ({then}): the tree, its base image, "
    "the build settings or the user changed since; name the tree as it was with --magma"
)
_AWAY = (
    "the image of {pair} that its trials ran in{then} is not on this machine: name the Magma tree with --magma, "
    "the dispatcher's registry with --registry, or extract on the machine that ran them"
)
_UNKNOWN = (
    "nobody wrote down in which image the trials of {pair} ran: name the campaign file with --campaign, and the Magma "
    "tree, if it is not the file's, with --magma"
)
_FOREIGN = "{reference} is not the image that the trials of {pair} ran in: it was made from {found}, theirs from {then}"


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """`assumed` says that nobody wrote down which image the trial ran in."""

    image: Image
    assumed: bool = False


class TrialImages:
    """Finds, pulls or builds them; `images` is None without a tree. What was refused once is not tried again."""

    def __init__(
        self,
        runner: Runner,
        reporter: BuildReporter,
        *,
        images: Images | None,
        registry: Registry | None,
        pins: Mapping[Pair, PinnedImage],
    ) -> None:
        self._runner = runner
        self._reporter = reporter
        self._images = images
        self._registry = registry
        self._pins = pins

    def choose(self, wanted: Iterable[tuple[Pair, Known]]) -> dict[tuple[Pair, str, str], Chosen | str]:
        """By pair, recipe and id as they are known: an image, or why there is none. EngineError where it is gone."""
        found: dict[tuple[Pair, str, str], Chosen | str] = {}
        for pair, known in wanted:
            key = (pair, known.recipe, known.image)
            if key not in found:
                found[key] = self._choose(pair, known)
        return found

    def _choose(self, pair: Pair, known: Known) -> Chosen | str:
        try:
            there = self._here(pair, known) or self._pulled(pair, known)
            return Chosen(image=there) if there else self._built(pair, known)
        except EngineGoneError:
            raise
        except (BuildError, EngineError, RegistryError, StorageError, UsageError) as error:
            self._reporter.note(f"{error}; these trials are left out, the others go on")
            return str(error)

    def _here(self, pair: Pair, known: Known) -> Image | None:
        if known.recipe:
            recipe = Recipe(fuzzer=pair[0], target=pair[1], build_args={}, digest=known.recipe)
            found = self._runner.find(recipe)
            if found:
                return Image(id=found, digest=known.recipe)
        # an id is the digest of all that is in an image; anything else that stands there is a name
        if known.image.startswith("sha256:") and self._runner.image_id(known.image) == known.image:
            return Image(id=known.image, digest=known.recipe)
        return None

    def _pulled(self, pair: Pair, known: Known) -> Image | None:
        pin = self._pins.get(pair)
        if pin is None or self._registry is None:
            return None
        reference = pin.reference(self._registry.address)
        self._reporter.note(f"Fetching {reference}")
        pulled = self._registry.pull(pin, on_line=self._reporter.build_line)
        if known.recipe and pulled.digest != known.recipe:
            found = pulled.digest[:16] or "something that is not ours"
            text = _FOREIGN.format(reference=reference, pair="/".join(pair), found=found, then=known.recipe[:16])
            raise UsageError(text)
        return Image(id=pulled.id, digest=pulled.digest)

    def _built(self, pair: Pair, known: Known) -> Chosen:
        name = "/".join(pair)
        then = known.recipe[:16] or known.image[:23]
        if self._images is None:
            raise UsageError(_AWAY.format(pair=name, then=f" ({then})") if then else _UNKNOWN.format(pair=name))
        recipe = self._images.recipe(*pair)
        if then and recipe.digest != known.recipe:
            raise UsageError(_OTHER.format(pair=name, now=recipe.digest[:16], then=then))
        self._reporter.building(recipe, 1, 1)
        image = self._images.ensure(recipe)
        if not then:
            self._reporter.note(
                f"In which image the trials of {name} ran is not written down: taken is "
                f"{image_name(*pair)}, made from the tree as it is now (recipe {recipe.digest[:16]})"
            )
        return Chosen(image=image, assumed=not then)
