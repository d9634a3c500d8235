"""Docker Engine, and what only one run on a machine may have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path
    from threading import Event

    from magma_remote.model.container import ContainerSpec
    from magma_remote.model.cpus import CpuSet
    from magma_remote.model.image import Recipe
    from magma_remote.model.machine import Machine


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """A line of a container's output and when the engine received it (seconds since the epoch)."""

    at: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Owned:
    """A container of ours, running or not."""

    id: str
    labels: Mapping[str, str]


class Runner(Protocol):
    """Docker Engine. All methods are thread-safe and raise EngineError where the engine fails or is gone."""

    def check(self) -> None:
        """Answer, or EngineError with what to do."""

    def machine(self) -> Machine:
        """The machine that its containers run on, as it is now."""

    def bases(self, image: str) -> tuple[str, ...]:
        """What one of our images says that it was made from, as NAME@ID; nothing where it does not say."""

    def image_id(self, name: str) -> str | None:
        """Id of a local image by its name, None where there is none."""

    def pull(self, name: str) -> str:
        """Fetch an image by its name; its id."""

    def find(self, recipe: Recipe) -> str | None:
        """Id of the image that was built from this recipe, None where there is none."""

    def build(
        self,
        recipe: Recipe,
        context: Path,
        *,
        cpus: CpuSet,
        on_line: Callable[[str], None],
    ) -> str:
        """Build from a tar file, on these CPUs alone; the image's id. BuildError where the build fails."""

    def create(self, spec: ContainerSpec) -> str:
        """Create a container; its id."""

    def start(self, container: str) -> None:
        """Start a created container."""

    def lines(self, container: str, *, follow: bool) -> AbstractContextManager[Iterator[LogLine]]:
        """Output so far or, with `follow`, until the container ends or the iterator is left."""

    def wait(self, container: str) -> None:
        """Return when the container has ended."""

    def execute(self, container: str, script: str) -> Iterator[bytes]:
        """Run a Bash script in a running container as its own user; chunks of its standard output.

        EngineError at its end where its exit code is not 0.
        """

    def kill(self, container: str) -> None:
        """End a container at once; nothing where it has ended."""

    def remove(self, container: str) -> None:
        """Kill and remove a container; nothing where it is gone."""

    def owned(self, label: str) -> tuple[Owned, ...]:
        """All containers that carry this label."""


class Guards(Protocol):
    """Locks between processes of one machine, dropped by the kernel with their holder."""

    def cpu_claims(self, cpus: Iterable[int], *, owner: str) -> AbstractContextManager[None]:
        """Keep CPUs for this process; BusyError names who has them."""

    def build_lock(
        self, owner: str, *, on_wait: Callable[[object], None], stop: Event | None = None
    ) -> AbstractContextManager[None]:
        """Build one image at a time on this machine; `on_wait` is told the holder.

        StoppedError once `stop` is set while this still waits.
        """

    def workdir_lock(self, path: Path, *, task: str = "") -> AbstractContextManager[None]:
        """Keep a WORKDIR for this process; StorageError names who has it, and its `task` where that has a name."""

    def claimed(self, cpus: Iterable[int]) -> frozenset[int]:
        """Those of the CPUs that another process keeps now."""

    def is_held(self, path: Path) -> bool:
        """Whether a live process has a WORKDIR."""
