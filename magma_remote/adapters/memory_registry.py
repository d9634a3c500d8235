"""A registry in memory, for tests: what is in it, and who pushed and pulled."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from magma_remote.errors import RegistryError
from magma_remote.ports import Pulled

if TYPE_CHECKING:
    from collections.abc import Callable

    from magma_remote.adapters.memory_runner import MemoryRunner
    from magma_remote.model.pinned import PinnedImage


class MemoryShelf:
    """What a registry holds: `images` maps (name, manifest) to the image's id and recipe.

    Set `up` to False and it does not answer; of the names in `full` it takes nothing.
    """

    def __init__(self) -> None:
        self.up = True
        self.full: set[str] = set()
        self.images: dict[tuple[str, str], Pulled] = {}
        self.pushed: list[str] = []
        self.salt = ""


class MemoryRegistry:
    """A `Registry` as the engine of one runner sees it; `pulls` are those that fetched something."""

    def __init__(self, runner: MemoryRunner, server: MemoryShelf | None = None) -> None:
        self.server = server or MemoryShelf()
        self.pulls: list[PinnedImage] = []
        self._runner = runner
        self._known: dict[tuple[str, str], Pulled] = {}

    @property
    def address(self) -> str:
        """See `Registry.address`."""
        return "reg:5000"

    def manifests(self, image: str, name: str) -> tuple[str, ...]:
        """See `Registry.manifests`."""
        self._runner.check()
        return tuple(at[1] for at, found in self._known.items() if (at[0], found.id) == (name, image))

    def has(self, image: PinnedImage) -> bool:
        """See `Registry.has`."""
        self._check()
        return (image.name, image.manifest) in self.server.images

    def push(self, image: str, name: str, tag: str) -> str:
        """See `Registry.push`: equal images have equal digests, as long as nobody changes the server's `salt`."""
        self._check()
        if name in self.server.full:
            raise RegistryError(f"the registry at {self.address} has no space left on its device")
        manifest = f"sha256:{hashlib.sha256(f'{image}{self.server.salt}'.encode()).hexdigest()}"
        recipe = next((digest for digest, found in self._runner.built.items() if found == image), "")
        self._known[name, manifest] = self.server.images[name, manifest] = Pulled(id=image, digest=recipe)
        self.server.pushed.append(f"{name}:{tag}")
        return manifest

    def pull(self, image: PinnedImage, *, on_line: Callable[[str], None]) -> Pulled:
        """See `Registry.pull`."""
        at = (image.name, image.manifest)
        if at not in self._known:
            self._check()
            on_line(f"Pulling from {image.name}")
            if at not in self.server.images:
                raise RegistryError(f"the registry has no {image.name}")
            self._known[at] = self.server.images[at]
            self.pulls.append(image)
        return self._known[at]

    def _check(self) -> None:
        self._runner.check()
        if not self.server.up:
            raise RegistryError(f"the registry at {self.address} does not answer")
