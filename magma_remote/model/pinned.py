"""An image of a campaign as a registry keeps it: by the digest of its manifest, which says all that is in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .image import image_name

_MANIFEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class PinnedImage:
    """The image of a pair; `manifest` is `sha256:` and 64 hex digits."""

    fuzzer: str
    target: str
    manifest: str

    @property
    def pair(self) -> tuple[str, str]:
        """Fuzzer and target."""
        return self.fuzzer, self.target

    @property
    def name(self) -> str:
        """Its name in any registry."""
        return image_name(self.fuzzer, self.target)

    def reference(self, registry: str) -> str:
        """What Docker calls it, in the registry at an address."""
        return f"{registry}/{self.name}@{self.manifest}"


def is_manifest(text: str) -> bool:
    """Whether it is a manifest's digest."""
    return _MANIFEST.fullmatch(text) is not None
