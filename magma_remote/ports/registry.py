"""A registry of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from magma_remote.model.pinned import PinnedImage


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """An image from a registry: the engine's id, and the digest of its recipe, empty where it is none of ours."""

    id: str
    digest: str


class Registry(Protocol):
    """The registry at one address, as Docker Engine reaches it; for one thread at a time, as many as like.

    RegistryError where it does not answer or refuses, EngineError where the engine fails or is gone.
    """

    @property
    def address(self) -> str:
        """`host:port`."""

    def manifests(self, image: str, name: str) -> tuple[str, ...]:
        """Digests under which a local image was in the registry by this name, as far as the engine knows."""

    def has(self, image: PinnedImage) -> bool:
        """Whether the registry has it now."""

    def push(self, image: str, name: str, tag: str) -> str:
        """Put a local image there by this name; its manifest's digest."""

    def pull(self, image: PinnedImage, *, on_line: Callable[[str], None]) -> Pulled:
        """Fetch it, unless the engine has it; leaving it by an exception of `on_line` ends it."""
