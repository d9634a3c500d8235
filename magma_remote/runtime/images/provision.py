"""A campaign's images, built once: found or built on the dispatcher's machine, and put into its registry."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from magma_remote.errors import BuildError, BusyError
from magma_remote.model.cpus import cpu_list
from magma_remote.model.entries import PinEntry
from magma_remote.model.image import image_name
from magma_remote.model.pinned import PinnedImage
from magma_remote.runtime.files import discard_tree
from magma_remote.runtime.images.restoring import Restoring, tag_of
from magma_remote.runtime.storage import storage_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from magma_remote.model.cpus import CpuSet
    from magma_remote.model.layout import Workdir
    from magma_remote.ports import BuildReporter, Guards, Registry, Runner
    from magma_remote.runtime.images.images import Images, Owner

Pair = tuple[str, str]

PATIENCE = 10.0
"""Seconds for a worker on this machine to hear that its campaign has ended, and to give its CPUs back."""

_LOOK = 0.5
_BUSY = (
    "CPUs {cpus} of this machine are held by trials, by a worker for its campaign or by another build; a build or push "
    "would disturb them: an image that is not in the registry yet waits for their end (`magma-remote cancel` ends "
    "another campaign that is in the way)"
)


class ImageState(StrEnum):
    """What became of an image. BUILT was made or pushed now; FAILED and MISSING are not in the registry."""

    PRESENT = "present"
    BUILT = "built"
    FAILED = "failed"
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class Provided:
    """The image of a pair: `pin` is what a campaign runs with from now on, None where there is no image.

    `message` says what would be done, or why there is none, and `log` where its build is told.
    """

    pair: Pair
    state: ImageState
    pin: PinEntry | None = None
    message: str = ""
    log: str = ""
    tail: tuple[str, ...] = ()

    def reference(self, registry: str) -> str | None:
        """What Docker calls it in the registry at an address; None where it is not there."""
        there = self.state in {ImageState.PRESENT, ImageState.BUILT}
        return self.pin.image.reference(registry) if self.pin and there else None


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where images are made: builds keep to `cpus`, and all of `machine` is theirs meanwhile: no trial has any of it.

    `worker_ip` names this machine in build logs.
    """

    workdir: Workdir
    owner: Owner
    worker_ip: str
    cpus: CpuSet
    machine: CpuSet


class Provision:
    """The images of one campaign. Those in `pins` are what it runs with for good: they are never made anew."""

    def __init__(
        self,
        bench: Bench,
        images: Images,
        *,
        runner: Runner,
        registry: Registry,
        guards: Guards,
        reporter: BuildReporter,
        pins: Iterable[PinEntry] = (),
    ) -> None:
        self._bench = bench
        self._images = images
        self._runner = runner
        self._registry = registry
        self._guards = guards
        self._reporter = reporter
        self._pins = {pin.image.pair: pin for pin in pins}
        self.restoring = Restoring(runner=runner, registry=registry, reporter=reporter, alone=self._alone)

    def look(self, pairs: Iterable[Pair]) -> tuple[Provided, ...]:
        """See what is there, PRESENT or MISSING; nothing is changed."""
        self._runner.check()
        return tuple(self._look(pair) for pair in pairs)

    def ensure(self, pairs: Iterable[Pair], *, now: bool = False) -> tuple[Provided, ...]:
        """Have them all in the registry; one that does not build is FAILED, and the others go on.

        The bench's WORKDIR is held by the caller. BusyError where nothing can be made now and the campaign has no
        image yet or it is to be `now`, UsageError where one of its images is lost; other errors where engine, registry
        or disk fail.
        """
        found = {each.pair: each for each in self.look(pairs)}
        todo = [each for each in found.values() if each.state is not ImageState.PRESENT]
        if not todo:
            return tuple(found.values())
        try:
            with self._alone(), self._folders():
                for number, each in enumerate(todo, start=1):
                    found[each.pair] = self._make(each, number, len(todo))
        except BusyError as error:
            if now or not self._pins:
                raise
            found |= {each.pair: self._later(each, str(error)) for each in todo}
        return tuple(found.values())

    def _look(self, pair: Pair) -> Provided:
        pin = self._pins.get(pair)
        if pin:
            there = self._registry.has(pin.image)
            state = ImageState.PRESENT if there else ImageState.MISSING
            return Provided(pair=pair, state=state, pin=pin, message="" if there else "to be pushed again")
        recipe = self._images.look(*pair)
        image = self._runner.find(recipe) if recipe else None
        if recipe is None or image is None:
            return Provided(pair=pair, state=ImageState.MISSING, message="to be built")
        for manifest in self._registry.manifests(image, recipe.name):
            pin = self._pin(pair, manifest, recipe.digest)
            if self._registry.has(pin.image):
                return Provided(pair=pair, state=ImageState.PRESENT, pin=pin, log=self._log(pair))
        return Provided(pair=pair, state=ImageState.MISSING, message="to be pushed")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No trial runs on this machine meanwhile, and none begins."""
        until = time.monotonic() + PATIENCE
        while busy := self._guards.claimed(self._bench.machine):
            if time.monotonic() >= until:
                raise BusyError(_BUSY.format(cpus=cpu_list(busy)))
            time.sleep(_LOOK)
        with self._guards.cpu_claims(self._bench.machine, owner=str(self._bench.workdir.root)):
            yield

    @contextmanager
    def _folders(self) -> Iterator[None]:
        """Where builds are logged, and where a build's files are packed."""
        workdir = self._bench.workdir
        with storage_errors("see that WORKDIR can be used"):
            for folder in (workdir.logs, workdir.staging):
                folder.mkdir(parents=True, exist_ok=True)
            try:
                yield
            finally:
                discard_tree(workdir.staging)

    def _make(self, each: Provided, number: int, count: int) -> Provided:
        if each.pin:
            self.restoring.push(each.pin)
            return replace(each, state=ImageState.BUILT, message="was there, pushed again")
        recipe = self._images.recipe(*each.pair)
        self._reporter.building(recipe, number, count)
        known = self._runner.find(recipe) is not None
        try:
            image = self._images.ensure(recipe)
        except BuildError as error:
            self._reporter.note(f"{error}; the trials of {'/'.join(each.pair)} cannot run, the others go on")
            failed = Provided(pair=each.pair, state=ImageState.FAILED, message=str(error), tail=error.log_tail)
            return replace(failed, log=self._log(each.pair))
        self._reporter.note(f"Pushing {recipe.tag} to {self._registry.address}")
        pin = self._pin(each.pair, self._registry.push(image.id, recipe.name, tag_of(recipe)), recipe.digest)
        message = "was there, only pushed" if known else ""
        return Provided(pair=each.pair, state=ImageState.BUILT, pin=pin, message=message, log=self._log(each.pair))

    def _later(self, each: Provided, why: str) -> Provided:
        """What cannot be made now: the campaign goes on without, for its trials on this machine may be what holds it.

        Workers that have an image already go on with it, wherever else it is lost.
        """
        name = image_name(*each.pair)
        if each.pin:
            self._reporter.note(f"The registry at {self._registry.address} has lost {name}. {why}")
            return replace(each, message=why)
        message = f"the image {name} was not built: {why}; then `graveyard requeue` and `dispatch` build it"
        self._reporter.note(message)
        return replace(each, state=ImageState.FAILED, message=message)

    def _pin(self, pair: Pair, manifest: str, recipe: str) -> PinEntry:
        image = PinnedImage(fuzzer=pair[0], target=pair[1], manifest=manifest)
        return PinEntry(image=image, recipe=recipe, uid=self._bench.owner.uid, gid=self._bench.owner.gid)

    def _log(self, pair: Pair) -> str:
        log = self._bench.workdir.build_log(*pair, self._bench.worker_ip)
        return str(log) if log.exists() else ""
