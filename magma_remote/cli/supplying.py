"""The images of a campaign on the dispatcher's machine, for `dispatch` and `images`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magma_remote.adapters import claims
from magma_remote.adapters.clock import SystemClock
from magma_remote.adapters.crew import LooseCrew
from magma_remote.adapters.docker import DockerRunner
from magma_remote.adapters.docker_registry import DockerRegistry
from magma_remote.adapters.machine import this_machine
from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.adapters.text_file import read_text
from magma_remote.cli.here import image_owner, own_address
from magma_remote.cli.settings_check import LEDGER
from magma_remote.errors import StorageError
from magma_remote.model.campaign_request import CampaignRequest
from magma_remote.model.comparable import terms
from magma_remote.model.entries import CampaignState
from magma_remote.model.layout import Workdir
from magma_remote.runtime.dispatcher.opening import check_same
from magma_remote.runtime.dispatcher.operations import campaign_of
from magma_remote.runtime.dispatcher.restocking import Restocking
from magma_remote.runtime.dispatcher.supply import check_registry, pinned, supply
from magma_remote.runtime.images.build_log import LoggingReporter
from magma_remote.runtime.images.context import Context
from magma_remote.runtime.images.images import Images, Owner
from magma_remote.runtime.images.provision import Bench, Provision
from magma_remote.runtime.images.tree_digest import pair_digests, pairs, tree_digest
from magma_remote.runtime.signals import on_stop, raise_stopped

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from magma_remote.cli.loading import Loaded
    from magma_remote.model.entries import PinEntry
    from magma_remote.model.settings import DispatcherSettings
    from magma_remote.ports import BuildReporter, Ledger
    from magma_remote.runtime.dispatcher.supply import Supply


def owner_of(pins: Sequence[PinEntry]) -> Owner:
    """For whom a campaign's images are made: once it has some, whoever is at work now."""
    return Owner(uid=pins[0].uid, gid=pins[0].gid) if pins else image_owner()


def provision_for(
    chosen: DispatcherSettings, loaded: Loaded, pins: Sequence[PinEntry], reporter: BuildReporter, *, campaign_id: str
) -> Provision:
    """As the settings say."""
    cpus, allowed = this_machine()
    online = tuple(sorted(cpu.number for cpu in cpus))
    workdir = Workdir(chosen.workdir)
    runner = DockerRunner()
    bench = Bench(
        workdir=workdir,
        owner=owner_of(pins),
        worker_ip=own_address(),
        cpus=tuple(cpu for cpu in online if cpu in allowed),
        machine=online,
    )
    images = Images(
        runner=runner,
        guards=claims,
        reporter=reporter,
        campaign=loaded.campaign,
        campaign_id=campaign_id,
        root=loaded.root,
        owner=bench.owner,
        workdir=workdir,
        worker_ip=bench.worker_ip,
        cpus=bench.cpus,
    )
    registry = DockerRegistry(runner, chosen.registry)
    return Provision(bench, images, runner=runner, registry=registry, guards=claims, reporter=reporter, pins=pins)


def pins_of(chosen: DispatcherSettings, loaded: Loaded) -> tuple[str, tuple[PinEntry, ...]]:
    """Id and images of the campaign that is in WORKDIR, empty where there is none yet.

    UsageError where it is another one, or its images come from elsewhere.
    """
    path = chosen.workdir / LEDGER
    if not path.exists():
        return "", ()
    ledger = SqliteLedger.open_existing(path)
    try:
        campaign = ledger.campaign()
        if campaign is None:
            return "", ()
        check_same(ledger, campaign, request_of(chosen, loaded))
        check_registry(ledger, chosen.registry)
        return campaign.config_id, ledger.pins()
    finally:
        ledger.close()


def request_of(chosen: DispatcherSettings, loaded: Loaded) -> CampaignRequest:
    """The campaign as it is written now."""
    campaign, context = loaded.campaign, Context(loaded.root)
    return CampaignRequest(
        source=loaded.file.name,
        text=read_text(loaded.file),
        tree=tree_digest(campaign, loaded.root, context),
        timeout=loaded.campaign.timeout.seconds,
        jobs=loaded.jobs,
        max_attempts=chosen.max_attempts,
        pairs=pairs(campaign) if chosen.registry else (),
        terms=terms(campaign, loaded.jobs, pair_digests(campaign, context)),
    )


def make_folder(folder: Path) -> None:
    """Make it, if it is not there; StorageError where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be made: {error.strerror}; change its place in the settings") from error


def supply_for(chosen: DispatcherSettings, loaded: Loaded, ledger: Ledger) -> tuple[Supply | None, Restocking | None]:
    """Have the campaign's images in the registry, nothing where the settings name none; a signal ends it.

    What keeps them there afterwards comes with them, where workers still need any. UsageError where they come from
    elsewhere than they did; other errors as `supply` raises them.
    """
    check_registry(ledger, chosen.registry)
    if not chosen.registry:
        return None, None
    campaign, pins = campaign_of(ledger), ledger.pins()
    if campaign.state is not CampaignState.OPEN:
        return pinned(ledger, owner_of(pins)), None
    with on_stop(raise_stopped):
        reporter = LoggingReporter()
        provision = provision_for(chosen, loaded, pins, reporter, campaign_id=campaign.config_id)
        given = supply(ledger, provision, pairs(loaded.campaign), owner_of(pins))
    kept = [pin for pin in ledger.pins() if pin.image in given.images]
    crew, clock = LooseCrew(), SystemClock()
    return given, Restocking(provision.restoring, kept, ledger=ledger, crew=crew, clock=clock, away=given.away)
