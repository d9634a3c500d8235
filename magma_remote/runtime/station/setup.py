"""From a broadcast to a station that is set up for its campaign: checked, its CPUs claimed, its images there."""

from __future__ import annotations

import logging
import traceback
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from threading import Event
from typing import TYPE_CHECKING

from magma_remote.errors import BuildError, ConfigError, MagmaRemoteError, StoppedError
from magma_remote.model.campaign_file import read_campaign
from magma_remote.model.cpu_request import CpuRequest, too_wide
from magma_remote.ports import Prepared
from magma_remote.runtime import affinity, preflight
from magma_remote.runtime.images.build_log import LoggingReporter
from magma_remote.runtime.station.images import source_of
from magma_remote.runtime.storage import storage_errors
from magma_remote.runtime.trial.cache import Cache, check_room
from magma_remote.runtime.trial.reap import reap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from magma_remote.model.campaign import Campaign
    from magma_remote.model.cpus import Layout
    from magma_remote.model.document import Table
    from magma_remote.model.layout import Workdir
    from magma_remote.model.messages import Broadcast
    from magma_remote.runtime.images.images import Image
    from magma_remote.runtime.station.images import Source
    from magma_remote.runtime.station.settings import Machine, StationOutside, StationSettings

Pair = tuple[str, str]

_MOST_PROBLEMS = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A station that is set up; `images` holds why an image is missing in its place. `close` gives all of it back."""

    config_id: str
    campaign: Campaign
    layout: Layout
    cache: Cache
    images: Mapping[Pair, Image | BuildError]
    cannot: Mapping[str, str]
    close: Callable[[], None] = field(repr=False)


class Preparation:
    """Sets up for one campaign. `run` is for a thread of its own; `progress` and `cancel` for others."""

    def __init__(
        self,
        broadcast: Broadcast,
        settings: StationSettings,
        outside: StationOutside,
        machine: Machine,
        common: Workdir,
    ) -> None:
        self.progress = "waiting"
        self._broadcast = broadcast
        self._settings = settings
        self._outside = outside
        self._machine = machine
        self._common = common
        self._cancelled = Event()
        self._reporter = LoggingReporter(self._cancelled)

    @property
    def cancelled(self) -> bool:
        """Whether nobody needs it any more."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Come to an end soon: a build ends with its next line, what else takes long is between two steps."""
        self._cancelled.set()

    def run(self) -> tuple[Prepared, Setup | None]:
        """What to tell, and what was set up, None where this machine is unfit. Nothing is raised."""
        config_id = self._broadcast.config_id
        held = ExitStack()
        try:
            with storage_errors("see that WORKDIRS and the Magma tree can be used"):
                setup = self._set_up(held)
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker must hear of it
            held.close()
            return Prepared(config_id=config_id, unfit=_why(error), housekeeping=self._settings.housekeeping), None
        demands = {fuzzer: setup.campaign.workers_for(fuzzer) for fuzzer in setup.campaign.fuzzers}
        prepared = Prepared(
            config_id=config_id,
            sets=setup.layout.sets,
            housekeeping=self._settings.housekeeping,
            demands=demands,
            cannot=setup.cannot,
        )
        return prepared, setup

    def _set_up(self, held: ExitStack) -> Setup:
        source = source_of(self._broadcast, self._settings, self._outside, self._common, self._cancelled)
        campaign = self._campaign(source)
        layout = self._machine.layout(campaign)
        cache = Cache.of(campaign, self._common)
        self._refuse(campaign, layout, cache)
        guards = self._outside.guards
        held.callback(self._machine.keep_off, (), guards)
        held.enter_context(guards.cpu_claims(layout.cpus, owner=str(self._common.root)))
        affinity.stay_on(layout.cpus)  # idle until the first trial: nobody's trials feel what comes now
        self._clear(campaign, layout, cache)
        held.callback(cache.close)
        cannot = too_wide(CpuRequest.of(campaign), layout)
        source.open(campaign, layout.cpus)
        images = self._images(source, [pair for pair in source.pairs(campaign) if pair[0] not in cannot])
        self._machine.keep_off(layout.cpus, guards)
        return Setup(
            config_id=self._broadcast.config_id,
            campaign=campaign,
            layout=layout,
            cache=cache,
            images=images,
            cannot=cannot,
            close=held.close,
        )

    def _campaign(self, source: Source) -> Campaign:
        """MAGMA of the file is the dispatcher's: here it is this machine's tree that counts, where one is needed."""
        self._step("reading the campaign")
        broadcast = self._broadcast
        document = self._outside.read_document(broadcast.text, broadcast.source)
        campaign = read_campaign(document, tree=source.tree(), source=broadcast.source)
        self._step("holding the campaign against this machine")
        source.check(campaign)
        return campaign

    def _refuse(self, campaign: Campaign, layout: Layout, cache: Cache) -> None:
        self._step("checking this machine")
        preflight.check_core_pattern()
        check_room(cache, campaign, len(layout.sets))
        self._outside.runner.check()

    def _clear(self, campaign: Campaign, layout: Layout, cache: Cache) -> None:
        self._step("clearing what dead runs left")
        outside = self._outside
        clear_caches(self._common)
        reap(layout.cpus, self._common, cache, runner=outside.runner, guards=outside.guards, reporter=self._reporter)
        for folder in (self._common.logs, self._common.staging):
            folder.mkdir(parents=True, exist_ok=True)
        cache.open()
        if not campaign.cache_on_disk:
            preflight.note_logout(self._reporter)

    def _images(self, source: Source, wanted: Sequence[Pair]) -> dict[Pair, Image | BuildError]:
        """All images before any trial: no build runs beside one."""
        ready: dict[Pair, Image | BuildError] = {}
        for number, pair in enumerate(wanted, start=1):
            self._step(f"image {number} of {len(wanted)}: {source.doing}{'/'.join(pair)}")
            try:
                ready[pair] = source.image(pair)
            except BuildError as error:
                log.warning("%s; the trials of %s fail, the others go on", error, "/".join(pair))
                ready[pair] = error
        return ready

    def _step(self, text: str) -> None:
        if self.cancelled:
            raise StoppedError("preparing was given up: it is not needed any more")
        self.progress = text
        log.debug("preparing: %s", text)  # a worker that is unfit tries again every now and then


def is_same_setup(now: Broadcast, before: Broadcast, read_document: Callable[[str, str], Table]) -> bool:
    """Whether two files of one campaign, on the same tree, differ in nothing that a station sets up for."""
    try:
        one, other = (read_campaign(read_document(each.text, each.source), tree=None) for each in (now, before))
    except ConfigError:
        return False  # setting up will tell
    return replace(one, repeat=other.repeat) == other


def clear_caches(common: Workdir) -> None:
    """Remove what is left of WORKDIRS' caches, in memory and on disk, while nothing of it runs."""
    Cache.on_disk(common).close()
    Cache.in_memory(common).close()


def _why(error: Exception) -> str:
    if isinstance(error, ConfigError):
        more = len(error.problems) - _MOST_PROBLEMS
        said = "; ".join(str(error).splitlines()[:_MOST_PROBLEMS])
        return f"the campaign does not fit the Magma tree here: {said}{f'; and {more} more' if more > 0 else ''}"
    if isinstance(error, MagmaRemoteError):
        return str(error)
    log.error("preparing failed: %s", "".join(traceback.format_exception(error)))
    return f"a defect of this program: {error!r}"
