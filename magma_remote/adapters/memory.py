"""The outside world in memory, for tests: an engine with scripted containers, locks, a reporter that remembers."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from magma_remote.adapters.memory_container import Container, Script
from magma_remote.errors import BuildError, BusyError, EngineError, EngineGoneError, StorageError
from magma_remote.model.machine import Machine
from magma_remote.ports import LogLine, Owned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from magma_remote.model.container import ContainerSpec
    from magma_remote.model.cpus import CpuSet
    from magma_remote.model.image import Recipe
    from magma_remote.model.jobs import Job
    from magma_remote.model.result import Result
    from magma_remote.ports import Running


def _complete(_spec: ContainerSpec) -> Script:
    return Script()


class MemoryRunner:
    """A `Runner` whose containers follow the script that `script` gives for their spec.

    `images` maps names to ids and `built` digests to ids. `build_failures` are raised by the next builds, in
    their order. Set `gone` and every call fails, those that wait too. `clashes` are pairs of specs that shared
    a CPU at one time; a test has none of them left, and nothing in `containers`.
    """

    def __init__(self, script: Callable[[ContainerSpec], Script] = _complete) -> None:
        self.script = script
        self.images: dict[str, str] = {}
        self.built: dict[str, str] = {}
        self.pulled: list[str] = []
        self.builds: list[tuple[Recipe, CpuSet, bytes]] = []
        self.build_failures: list[BuildError] = []
        self.created: list[ContainerSpec] = []
        self.clashes: list[tuple[ContainerSpec, ContainerSpec]] = []
        self.containers: dict[str, Container] = {}
        self._gone = threading.Event()
        self._lock = threading.Lock()

    @property
    def gone(self) -> bool:
        """Whether the engine has gone away, for good."""
        return self._gone.is_set()

    def go(self) -> None:
        """Go away in the middle of whatever runs."""
        self._gone.set()
        for container in list(self.containers.values()):
            container.ended.set()

    def check(self) -> None:
        """See `Runner.check`."""
        if self.gone:
            raise EngineGoneError("the engine is gone")

    def machine(self) -> Machine:
        """See `Runner.machine`."""
        self.check()
        return Machine(host="memory", docker="1.0")

    def bases(self, image: str) -> tuple[str, ...]:
        """See `Runner.bases`."""
        self.check()
        return next((recipe.bases for recipe, *_ in self.builds if f"sha256:{recipe.digest}" == image), ())

    def image_id(self, name: str) -> str | None:
        """See `Runner.image_id`."""
        self.check()
        return self.images.get(name)

    def pull(self, name: str) -> str:
        """See `Runner.pull`: any name is there to be pulled."""
        self.check()
        self.pulled.append(name)
        return self.images.setdefault(name, f"sha256:{name}")

    def find(self, recipe: Recipe) -> str | None:
        """See `Runner.find`."""
        self.check()
        return self.built.get(recipe.digest)

    def build(self, recipe: Recipe, context: Path, *, cpus: CpuSet, on_line: Callable[[str], None]) -> str:
        """See `Runner.build`."""
        self.check()
        self.builds.append((recipe, cpus, context.read_bytes()))
        on_line(f"Step 1/1 : {recipe.name}")
        if self.build_failures:
            raise self.build_failures.pop(0)
        return self.built.setdefault(recipe.digest, f"sha256:{recipe.digest}")

    def create(self, spec: ContainerSpec) -> str:
        """See `Runner.create`."""
        script = self.script(spec)
        self._before("create", script)
        with self._lock:
            others = (container.spec for container in self.containers.values() if not container.ended.is_set())
            self.clashes += [(spec, other) for other in others if set(spec.cpus) & set(other.cpus)]
            self.created.append(spec)
            name = f"container-{len(self.created)}"
            self.containers[name] = Container(spec, script)
        return name

    def start(self, container: str) -> None:
        """See `Runner.start`."""
        self._at("start", container).play()

    @contextmanager
    def lines(self, container: str, *, follow: bool) -> Iterator[Iterator[LogLine]]:
        """See `Runner.lines`."""
        yield self._lines(self._at("follow" if follow else "lines", container), follow=follow)

    def wait(self, container: str) -> None:
        """See `Runner.wait`."""
        self._at("wait", container).ended.wait()
        self.check()

    def execute(self, container: str, script: str) -> Iterator[bytes]:
        """See `Runner.execute`: nothing where the container's Script has no such script."""
        found = self._at("execute", container).script
        yield from next((chunks for part, chunks in found.scripts.items() if part in script), ())

    def kill(self, container: str) -> None:
        """See `Runner.kill`."""
        self.check()
        if found := self.containers.get(container):
            self._before("kill", found.script)
            if found.started:
                found.ended.set()

    def remove(self, container: str) -> None:
        """See `Runner.remove`."""
        self.check()
        if found := self.containers.get(container):
            self._before("remove", found.script)
            found.ended.set()
            del self.containers[container]

    def owned(self, label: str) -> tuple[Owned, ...]:
        """See `Runner.owned`."""
        self.check()
        found = list(self.containers.items())
        return tuple(Owned(id=name, labels=box.spec.labels) for name, box in found if label in box.spec.labels)

    def _at(self, method: str, container: str) -> Container:
        found = self.containers.get(container)
        if found is None:
            raise EngineError(f"no such container: {container}")
        self._before(method, found.script)
        return found

    def _before(self, method: str, script: Script) -> None:
        self.check()
        if act := script.at.get(method):
            act()
            self.check()

    def _lines(self, container: Container, *, follow: bool) -> Iterator[LogLine]:
        yield from list(container.lines)
        if follow:
            container.ended.wait()
            self.check()


class MemoryGuards:
    """`Guards` within one process: what is held is in `held`, WORKDIRs as paths and CPUs as numbers."""

    def __init__(self, *held: Path | int) -> None:
        self.held: set[Path | int] = set(held)
        self.builds = 0

    @contextmanager
    def cpu_claims(self, cpus: Iterable[int], *, owner: str) -> Iterator[None]:
        """See `Guards.cpu_claims`."""
        wanted = set(cpus)
        if taken := wanted & self.held:
            raise BusyError(f"CPUs {taken} are not free for {owner}")
        with self._holding(wanted):
            yield

    @contextmanager
    def build_lock(self, owner: str, **_: object) -> Iterator[None]:  # noqa: ARG002 - the protocol's signature
        """See `Guards.build_lock`: nobody is ever waited for; `builds` counts."""
        self.builds += 1
        yield

    @contextmanager
    def workdir_lock(self, path: Path, *, task: str = "") -> Iterator[None]:  # noqa: ARG002 - the protocol's signature
        """See `Guards.workdir_lock`."""
        if path in self.held:
            raise StorageError(f"{path}: another process is running there")
        with self._holding({path}):
            yield

    def claimed(self, cpus: Iterable[int]) -> frozenset[int]:
        """See `Guards.claimed`; here all are others'."""
        return frozenset(cpu for cpu in cpus if cpu in self.held)

    def is_held(self, path: Path) -> bool:
        """See `Guards.is_held`."""
        return path in self.held

    @contextmanager
    def _holding(self, things: set[Path] | set[int]) -> Iterator[None]:
        self.held |= things
        try:
            yield
        finally:
            self.held -= things


class MemoryReporter:
    """A `Reporter` that remembers; `on_tick` is called with each tick's running trials."""

    def __init__(self, on_tick: Callable[[Sequence[Running]], object] = len) -> None:
        self.notes: list[str] = []
        self.plans: list[dict[str, float]] = []
        self.starts: list[tuple[Job, CpuSet]] = []
        self.results: list[Result] = []
        self.on_tick = on_tick

    def note(self, text: str) -> None:
        """See `Reporter.note`."""
        self.notes.append(text)

    def building(self, recipe: Recipe, number: int, count: int) -> None:
        """See `Reporter.building`."""
        self.notes.append(f"building {recipe.name}, {number} of {count}")

    def build_line(self, line: str) -> None:
        """See `Reporter.build_line`."""
        self.notes.append(line)

    def built(self, recipe: Recipe, seconds: float) -> None:  # noqa: ARG002 - the protocol's signature
        """See `Reporter.built`."""
        self.notes.append(f"built {recipe.name}")

    def planned(self, *, trials: int, kept: int, slots: int, seconds: float) -> None:
        """See `Reporter.planned`."""
        self.plans.append({"trials": trials, "kept": kept, "slots": slots, "seconds": seconds})

    def started(self, job: Job, cpus: CpuSet) -> None:
        """See `Reporter.started`."""
        self.starts.append((job, cpus))

    def ended(self, result: Result) -> None:
        """See `Reporter.ended`."""
        self.results.append(result)

    def tick(self, running: Sequence[Running], *, left: float) -> None:  # noqa: ARG002 - the protocol's signature
        """See `Reporter.tick`."""
        self.on_tick(running)
