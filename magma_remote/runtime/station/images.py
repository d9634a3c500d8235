"""Where a worker's images come from: built of its own Magma tree, or pulled from the dispatcher's registry."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from magma_remote.errors import UsageError
from magma_remote.runtime import preflight
from magma_remote.runtime.images.build_log import LoggingReporter
from magma_remote.runtime.images.context import Context
from magma_remote.runtime.images.images import Image, Images
from magma_remote.runtime.images.tree_digest import pairs, tree_digest

if TYPE_CHECKING:
    from threading import Event

    from magma_remote.model.campaign import Campaign
    from magma_remote.model.cpus import CpuSet
    from magma_remote.model.layout import Workdir
    from magma_remote.model.messages import Broadcast
    from magma_remote.model.tree import MagmaTree
    from magma_remote.ports import Registry
    from magma_remote.runtime.station.settings import StationOutside, StationSettings

Pair = tuple[str, str]

_OTHER_TREE = (
    "the Magma tree {root} is not the dispatcher's in what the images of this campaign are made from: bring both to "
    "the same commit, with the same changes of your own"
)
_NO_REGISTRY = (
    "the images of this campaign are in the dispatcher's registry, and this worker's settings name none: add REGISTRY, "
    "where this machine reaches it"
)
_NO_IMAGES = (
    "the dispatcher has no REGISTRY in its settings and provides no images, and this worker's settings have no MAGMA "
    "to build them from: add one of the two"
)
_FOREIGN = (
    "{reference} is not the image that the dispatcher named: it has no label of ours; see who else pushes to that "
    "registry, and have the dispatcher begin the campaign in a new WORKDIR"
)

log = logging.getLogger(__name__)


class Source(Protocol):
    """What a preparation asks, in this order."""

    doing: str
    """What is done for an image, for people."""

    def tree(self) -> MagmaTree | None:
        """The tree that the campaign file is held against, None where there is none."""

    def check(self, campaign: Campaign) -> None:
        """UsageError where the campaign's trials could not run here on these images."""

    def pairs(self, campaign: Campaign) -> tuple[Pair, ...]:
        """All that there is an image for."""

    def open(self, campaign: Campaign, cpus: CpuSet) -> None:
        """What is made from now on keeps to these CPUs."""

    def image(self, pair: Pair) -> Image:
        """Make or fetch it; BuildError where it does not build, other errors where none can be had now."""


def source_of(
    broadcast: Broadcast, settings: StationSettings, outside: StationOutside, common: Workdir, stop: Event
) -> Source:
    """The source for a campaign; UsageError where dispatcher and worker do not go together."""
    if broadcast.provides:
        if outside.registry is None:
            raise UsageError(_NO_REGISTRY)
        return Pulled(broadcast, outside.registry, settings, common, stop)
    built = Built(broadcast, settings, outside, common, stop)
    if outside.registry is not None:
        log.info("the dispatcher has no REGISTRY in its settings: this worker builds its images itself")
    return built


class Built:
    """Images of this machine's own tree, which must be the dispatcher's; `stop` ends a build."""

    doing = ""

    def __init__(
        self,
        broadcast: Broadcast,
        settings: StationSettings,
        outside: StationOutside,
        common: Workdir,
        stop: Event,
    ) -> None:
        if settings.root is None:
            raise UsageError(_NO_IMAGES)
        self._broadcast = broadcast
        self._settings = settings
        self._root = settings.root
        self._outside = outside
        self._common = common
        self._stop = stop
        self._context = Context(self._root)
        self._images: Images | None = None

    def tree(self) -> MagmaTree | None:
        """See `Source.tree`."""
        return self._outside.read_tree(self._root)

    def check(self, campaign: Campaign) -> None:
        """See `Source.check`."""
        if tree_digest(campaign, self._root, self._context) != self._broadcast.tree:
            raise UsageError(_OTHER_TREE.format(root=self._root))

    def pairs(self, campaign: Campaign) -> tuple[Pair, ...]:
        """See `Source.pairs`."""
        return pairs(campaign)

    def open(self, campaign: Campaign, cpus: CpuSet) -> None:
        """See `Source.open`."""
        self._images = Images(
            runner=self._outside.runner,
            guards=self._outside.guards,
            reporter=LoggingReporter(self._stop),
            campaign=campaign,
            campaign_id=self._broadcast.config_id,
            root=self._root,
            owner=self._settings.owner,
            workdir=self._common,
            worker_ip=self._settings.host,
            cpus=cpus,
            context=self._context,
            stop=self._stop,
        )

    def image(self, pair: Pair) -> Image:
        """See `Source.image`."""
        if self._images is None:
            raise AssertionError("open comes first")
        return self._images.ensure(self._images.recipe(*pair))


class Pulled:
    """The dispatcher's images, by digest: no tree is needed; `stop` ends a pull."""

    doing = "pulling "

    def __init__(
        self, broadcast: Broadcast, registry: Registry, settings: StationSettings, common: Workdir, stop: Event
    ) -> None:
        self._broadcast = broadcast
        self._registry = registry
        self._settings = settings
        self._common = common
        self._reporter = LoggingReporter(stop)
        self._images = {image.pair: image for image in broadcast.images}

    def tree(self) -> MagmaTree | None:
        """See `Source.tree`: the dispatcher has held the file against its own."""
        return None

    def check(self, campaign: Campaign) -> None:  # noqa: ARG002 - the protocol's signature
        """See `Source.check`."""
        preflight.check_user(self._broadcast.uid)

    def pairs(self, campaign: Campaign) -> tuple[Pair, ...]:  # noqa: ARG002 - the protocol's signature
        """See `Source.pairs`."""
        return tuple(self._images)

    def open(self, campaign: Campaign, cpus: CpuSet) -> None:
        """See `Source.open`: the engine has its own way."""

    def image(self, pair: Pair) -> Image:
        """See `Source.image`."""
        pulled = self._registry.pull(self._images[pair], on_line=self._reporter.build_line)
        if not pulled.digest:
            raise UsageError(_FOREIGN.format(reference=self._images[pair].reference(self._registry.address)))
        # the dispatcher has the log of this image's build: one of another image must not go with the results
        self._common.build_log(*pair, self._settings.host).unlink(missing_ok=True)
        return Image(id=pulled.id, digest=pulled.digest)
