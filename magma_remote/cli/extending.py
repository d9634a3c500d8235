"""A campaign is extended: what `dispatch --extend` and `extend` do before anything runs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from magma_remote.adapters.clock import SystemClock
from magma_remote.cli.provenance import note_tree, tell_dispatched
from magma_remote.cli.settings_check import LEDGER
from magma_remote.cli.supplying import provision_for
from magma_remote.errors import NoCampaignError
from magma_remote.runtime.dispatcher.extending import check_extends, extend
from magma_remote.runtime.dispatcher.operations import campaign_of
from magma_remote.runtime.dispatcher.supply import check_registry
from magma_remote.runtime.images.build_log import LoggingReporter
from magma_remote.runtime.signals import on_stop, raise_stopped

if TYPE_CHECKING:
    from magma_remote.adapters.sqlite import SqliteLedger
    from magma_remote.cli.loading import Loaded
    from magma_remote.model.campaign_request import CampaignRequest
    from magma_remote.model.settings import DispatcherSettings
    from magma_remote.runtime.dispatcher.extending import Held, Pair

log = logging.getLogger(__name__)


def check_there(chosen: DispatcherSettings) -> None:
    """NoCampaignError where WORKDIR has no campaign: a mistyped one must not begin a new one."""
    if not (chosen.workdir / LEDGER).exists():
        raise NoCampaignError(
            f"{chosen.workdir} holds no campaign that could be extended: name the right WORKDIR, or dispatch without "
            "--extend to begin one"
        )


def extend_campaign(chosen: DispatcherSettings, loaded: Loaded, request: CampaignRequest, ledger: SqliteLedger) -> Held:
    """Have the images of what is new, then extend the campaign, in one step. WORKDIR is held by the caller.

    UsageError where it is refused, BusyError where an image cannot be made now: nothing has changed then.
    """
    wanted = check_extends(ledger, request)
    _provide(chosen, loaded, ledger, wanted.pairs)
    added = extend(ledger, request, SystemClock().now())
    campaign = campaign_of(ledger)
    if note_tree(chosen.workdir, loaded.root, request.tree, ledger):
        tell_dispatched(chosen.workdir, ledger)
    if added.added:
        log.info("campaign %s (%s) has %d more jobs: %s", campaign.config_id, campaign.source, *_counts(added))
    else:
        log.info("campaign %s (%s) has nothing more to run", campaign.config_id, campaign.source)
    return added


def _counts(added: Held) -> tuple[int, str]:
    return len(added.added), added.further


def _provide(chosen: DispatcherSettings, loaded: Loaded, ledger: SqliteLedger, pairs: tuple[Pair, ...]) -> None:
    """Images of pairs that have none yet: one that does not build is found missing again as the campaign goes on."""
    check_registry(ledger, chosen.registry)
    campaign, pins = campaign_of(ledger), ledger.pins()
    unknown = [pair for pair in pairs if pair not in {pin.image.pair for pin in pins}]
    if not (chosen.registry and unknown):
        return
    with on_stop(raise_stopped):
        reporter = LoggingReporter()
        provision = provision_for(chosen, loaded, pins, reporter, campaign_id=campaign.config_id)
        provision.ensure(unknown, now=True)
