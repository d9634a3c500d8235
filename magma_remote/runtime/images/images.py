"""Images by the digest of what goes into them: a stale one never runs, one that fits is never built again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from magma_remote.errors import BuildError
from magma_remote.model import image
from magma_remote.runtime.images.context import Context

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from threading import Event
    from typing import TextIO

    from magma_remote.model.campaign import Campaign
    from magma_remote.model.cpus import CpuSet
    from magma_remote.model.image import Recipe, Sources
    from magma_remote.model.layout import Workdir
    from magma_remote.ports import BuildReporter, Guards, Runner

ATTEMPTS = 2  # a build downloads: one failure may be the network's


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that may run: the engine's id and the digest of what it was made from."""

    id: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Numeric user and group that run fuzzers in the containers and own their files; never 0 (Magma's build fails)."""

    uid: int
    gid: int


class Images:
    """The images of one campaign on this machine; builds keep to `cpus`. `stop` ends the wait for a build's turn."""

    def __init__(
        self,
        *,
        runner: Runner,
        guards: Guards,
        reporter: BuildReporter,
        campaign: Campaign,
        campaign_id: str,
        root: Path,
        owner: Owner,
        workdir: Workdir,
        worker_ip: str,
        cpus: CpuSet,
        context: Context | None = None,
        stop: Event | None = None,
    ) -> None:
        self._runner = runner
        self._guards = guards
        self._reporter = reporter
        self._campaign = campaign
        self._campaign_id = campaign_id
        self._owner = owner
        self._workdir = workdir
        self._worker_ip = worker_ip
        self._cpus = cpus
        self._context = context or Context(root)
        self._stop = stop
        self._bases: dict[str, str] = {}

    def recipe(self, fuzzer: str, target: str) -> Recipe:
        """What the image of a pair is made from at this moment; base images that are missing are fetched."""
        args, sources = self._sources(fuzzer, target)
        return self._recipe(fuzzer, target, args, {name: self._base(name) for name in sources.base_images})

    def look(self, fuzzer: str, target: str) -> Recipe | None:
        """The recipe of an image that is there already; None where it is not. Nothing is changed."""
        args, sources = self._sources(fuzzer, target)
        bases = {name: found for name in sources.base_images if (found := self._runner.image_id(name))}
        if len(bases) < len(set(sources.base_images)):
            return None
        recipe = self._recipe(fuzzer, target, args, bases)
        return recipe if self._runner.find(recipe) else None

    def _sources(self, fuzzer: str, target: str) -> tuple[Mapping[str, str], Sources]:
        args = image.build_args(self._campaign, fuzzer, target, uid=self._owner.uid, gid=self._owner.gid)
        return args, self._context.sources(args)

    def _recipe(self, fuzzer: str, target: str, args: Mapping[str, str], bases: Mapping[str, str]) -> Recipe:
        entries = self._context.entries(self._context.sources(args).paths)
        return image.Recipe(
            fuzzer=fuzzer,
            target=target,
            build_args=args,
            digest=image.digest(args, bases.values(), entries),
            bases=tuple(f"{name}@{found}" for name, found in sorted(bases.items())),
            campaign_id=self._campaign_id,
        )

    def ensure(self, recipe: Recipe) -> Image:
        """Find or build it. BuildError after the last attempt, with the log's path in its message."""
        found = self._runner.find(recipe)
        log = self._workdir.build_log(recipe.fuzzer, recipe.target, self._worker_ip)
        if found is None:
            with self._guards.build_lock(str(self._workdir.root), on_wait=self._waiting, stop=self._stop):
                found = self._runner.find(recipe) or self._build(recipe, log)
        elif not log.exists():
            log.write_text(f"{recipe.tag} ({found}) was there already, made from the same files: not built again\n")
        return Image(id=found, digest=recipe.digest)

    def _waiting(self, holder: object) -> None:
        self._reporter.note(f"Waiting for the image build of {holder}")

    def _build(self, recipe: Recipe, log: Path) -> str:
        context = self._workdir.staging / "context.tar"
        self._context.pack(self._context.sources(recipe.build_args).paths, context)
        try:
            with log.open("w") as file:
                return self._attempt(recipe, context, file, ATTEMPTS)
        except BuildError as error:
            raise BuildError(f"{error}; the whole log is {log}", log_tail=error.log_tail) from error
        finally:
            context.unlink(missing_ok=True)

    def _attempt(self, recipe: Recipe, context: Path, log: TextIO, left: int) -> str:
        begun = time.monotonic()

        def on_line(line: str) -> None:
            log.write(f"{line}\n")
            log.flush()
            self._reporter.build_line(line)

        on_line(f"building {recipe.tag} with {dict(recipe.build_args)}")
        try:
            built = self._runner.build(recipe, context, cpus=self._cpus, on_line=on_line)
        except BuildError as error:
            on_line(str(error))
            if left == 1:
                raise
            self._reporter.note(f"{error}; trying once more")
            return self._attempt(recipe, context, log, left - 1)
        self._reporter.built(recipe, time.monotonic() - begun)
        return built

    def _base(self, name: str) -> str:
        if name not in self._bases:
            found = self._runner.image_id(name)
            if found is None:
                self._reporter.note(f"Fetching the base image {name}")
                found = self._runner.pull(name)
            self._bases[name] = found
        return self._bases[name]
