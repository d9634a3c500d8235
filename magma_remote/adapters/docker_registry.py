"""A registry behind the `Registry` protocol, through Docker Engine, which does the pushing and pulling."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, ImageNotFound, NotFound

from magma_remote.adapters.docker import engine_errors, guarded
from magma_remote.errors import EngineError, RegistryError
from magma_remote.model.image import DIGEST_LABEL
from magma_remote.model.plain import plain
from magma_remote.ports import Pulled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from magma_remote.adapters.docker import DockerRunner
    from magma_remote.model.pinned import PinnedImage


class DockerRegistry:
    """The registry that the runner's engine reaches at `address`. Thread-safe."""

    def __init__(self, runner: DockerRunner, address: str) -> None:
        self._runner = runner
        self._address = address

    @property
    def address(self) -> str:
        """See `Registry.address`."""
        return self._address

    def manifests(self, image: str, name: str) -> tuple[str, ...]:
        """See `Registry.manifests`."""
        with engine_errors(f"for image {image}"):
            known = self._runner.api.inspect_image(image).get("RepoDigests") or ()
        return tuple(digest for at, _, digest in (text.partition("@") for text in known) if at == self._place(name))

    def has(self, image: PinnedImage) -> bool:
        """See `Registry.has`."""
        with self._answers(f"whether it has {image.name}"):
            try:
                self._runner.api.inspect_distribution(image.reference(self._address))
            except NotFound:
                return False
        return True

    def push(self, image: str, name: str, tag: str) -> str:
        """See `Registry.push`."""
        doing = f"to take {name}:{tag}"
        digest = ""
        with self._answers(doing):
            self._runner.api.tag(image, self._place(name), tag)
            answers = self._runner.api.push(self._place(name), tag=tag, stream=True, decode=True)
        for answer in self._said(answers, doing):
            digest = (answer.get("aux") or {}).get("Digest", digest)
        if not digest:
            raise RegistryError(f"the registry at {self._address} took {name}:{tag} without telling its digest")
        return str(digest)

    def pull(self, image: PinnedImage, *, on_line: Callable[[str], None]) -> Pulled:
        """See `Registry.pull`."""
        found = self._find(image)
        if found is None:
            doing = f"for {image.name}@{image.manifest}"
            with self._answers(doing):
                answers = self._runner.api.pull(self._place(image.name), tag=image.manifest, stream=True, decode=True)
            for answer in self._said(answers, doing):
                on_line(plain(str(answer.get("status") or "")))
            found = self._find(image)
        if found is None:
            raise EngineError(f"Docker Engine pulled {image.reference(self._address)}, yet has no such image")
        return found

    def _find(self, image: PinnedImage) -> Pulled | None:
        reference = image.reference(self._address)
        with engine_errors(f"for image {reference}"):
            try:
                found = self._runner.api.inspect_image(reference)
            except ImageNotFound:
                return None
        labels = found["Config"].get("Labels") or {}
        return Pulled(id=str(found["Id"]), digest=str(labels.get(DIGEST_LABEL, "")))

    def _place(self, name: str) -> str:
        return f"{self._address}/{name}"

    def _said(self, answers: Iterator[dict[str, Any]], doing: str) -> Iterator[dict[str, Any]]:
        """The engine's answers; what is an error of the registry comes as one of them."""
        for answer in guarded(answers, f"while the registry was asked {doing}"):
            if "error" in answer:
                raise RegistryError(self._refusal(doing, str(answer["error"])))
            yield answer

    @contextmanager
    def _answers(self, doing: str) -> Iterator[None]:
        """The engine passes on as its own refusal what the registry said, or that it said nothing."""
        with engine_errors(f"while the registry was asked {doing}"):
            try:
                yield
            except NotFound as error:
                raise RegistryError(f"the registry at {self._address} has lost what it was asked {doing}") from error
            except APIError as error:
                raise RegistryError(self._refusal(doing, str(error.explanation or error))) from error

    def _refusal(self, doing: str, said: str) -> str:
        return (
            f"the registry at {self._address} does not answer, or refuses, when asked {doing}: {plain(said.strip())}; "
            "see that it runs there (on a worker: that the tunnel to it does), and that REGISTRY names it"
        )
