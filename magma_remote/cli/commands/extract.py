"""`magma-remote extract`: the PoCs of all trials of a WORKDIR, after the fact."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from magma_remote.adapters import claims
from magma_remote.adapters.docker import DockerRunner
from magma_remote.adapters.docker_registry import DockerRegistry
from magma_remote.adapters.hjson_file import parse_hjson
from magma_remote.adapters.magma_tree import read_tree
from magma_remote.cli.beside import print_json
from magma_remote.cli.extract_view import ExtractLines, members, print_extracts
from magma_remote.cli.here import image_owner, own_address
from magma_remote.cli.lasting import lasting
from magma_remote.cli.loading import load
from magma_remote.cli.reading import WORKDIR, ledger_of
from magma_remote.cli.supplying import owner_of
from magma_remote.errors import UsageError
from magma_remote.model.campaign_file import read_campaign
from magma_remote.model.layout import Workdir
from magma_remote.runtime.extracting.known import background
from magma_remote.runtime.extracting.tasks import Build
from magma_remote.runtime.extracting.workdir import ExtractOrder, ExtractOutside, extract_workdir
from magma_remote.runtime.signals import ignore, outlast
from magma_remote.runtime.storage import storage_errors
from magma_remote.runtime.workdir.asked import PROVENANCE
from magma_remote.runtime.workdir.present import check_is_workdir
from magma_remote.runtime.workdir.provenance_trial import read_object
from magma_remote.runtime.workdir.state import recorded_campaign

if TYPE_CHECKING:
    from magma_remote.adapters.sqlite import SqliteLedger
    from magma_remote.model.campaign import Campaign
    from magma_remote.model.tree import MagmaTree

_NO_CAMPAIGN = (
    "nobody wrote down in {workdir} with which settings (CANARY_MODE, ISAN, HARDEN, FUZZARGS) its trials ran: name the "
    "campaign file with --campaign; `magma-remote import-captainrc` makes one of a captainrc"
)


@click.command(short_help="Extract the test cases that crash or trigger a bug, after the fact.")
@WORKDIR
@click.option(
    "--magma",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Magma tree to build images from that are not on this machine.",
)
@click.option(
    "--campaign",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Campaign file that the trials ran with, where WORKDIR does not tell; its MAGMA is the tree.",
)
@click.option("--registry", metavar="HOST:PORT", help="The dispatcher's registry, to pull its images from.")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="How many CPUs to use at the most.")
@click.option("--again", is_flag=True, help="Extract all trials anew, not only those that are missing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object at the end, for programs.")
def extract(
    *,
    workdir: Path,
    magma: Path | None,
    campaign: Path | None,
    registry: str | None,
    workers: int | None,
    again: bool,
    as_json: bool,
) -> None:
    """Run every finding of every trial in WORKDIR once more, and keep what crashes or triggers a bug in WORKDIR/poc.

    Each trial is extracted as with POC_EXTRACT, in the image that it ran in and on a CPU that no running trial has.
    PoCs are named FUZZER_TARGET_PROGRAM_BUG.HASH; WORKDIR/poc/index.json tells bug → PoC → trials. Called again, it
    does only what is missing. Ctrl-C ends it cleanly.

    An image that is not on this machine is pulled (--registry) or built (--magma); one that is not what the trial ran
    in is refused. Of a WORKDIR of Magma's captain, nobody knows the image: name --campaign, and it is said so.

    \b
    Example:
      magma-remote extract results --magma ~/magma

    \b
    --json prints {"version": 1, "index": path, "extracted", "kept": numbers of trials, "no_findings": [trial],
      "assumed_image": [trial], "failed": [{"trial", "message"}], "missing": [trial], "stopped": signal or null,
      "bugs": {target: {bug: {fuzzer: number of PoCs}}}}

    Exit code 1 if any trial could not be extracted or is missing.
    """
    place = Workdir(workdir.resolve())
    with storage_errors("look at the disk"):
        check_is_workdir(place)
    with ledger_of(place.root) as ledger:
        known = background(place, ledger)
        build = _build(place, ledger, magma, campaign)
    order = ExtractOrder(
        workdir=place,
        background=known,
        build=build,
        cpus=frozenset(os.sched_getaffinity(0)),
        workers=workers,
        again=again,
    )
    output = lasting(sys.stdout)
    runner = DockerRunner()
    outside = ExtractOutside(
        runner=runner,
        guards=claims,
        reporter=ExtractLines(lasting(sys.stderr)),
        registry=DockerRegistry(runner, registry) if registry else None,
    )
    outlast()
    found = extract_workdir(order, outside)
    if as_json:
        print_json(members(found))
    else:
        print_extracts(found, output)
    ignore()
    sys.exit(1 if found.failed or found.missing or found.unread or found.stopped else 0)


def _build(workdir: Workdir, ledger: SqliteLedger | None, magma: Path | None, file: Path | None) -> Build | None:
    """What images are built from; None where no tree was named."""
    if file:
        loaded = load(file, magma)
        settings, root, tree = loaded.campaign, loaded.root, loaded.tree
    elif magma:
        root = magma.resolve()
        tree = read_tree(root)
        settings = _settings(workdir, ledger, tree)
    else:
        return None
    owner = owner_of(ledger.pins()) if ledger else image_owner()
    return Build(campaign=settings, root=root, tree=tree, owner=owner, worker_ip=own_address())


def _settings(workdir: Workdir, ledger: SqliteLedger | None, tree: MagmaTree) -> Campaign:
    """The campaign as WORKDIR has it: the ledger's file, manifest.json's, or what quickrun keeps."""
    entry = ledger.campaign() if ledger else None
    told = read_object(workdir.root / PROVENANCE).get("campaign")
    text = entry.text if entry else told.get("text") if isinstance(told, dict) else None
    if isinstance(text, str):
        source = f"the campaign in {workdir.root}"
        return read_campaign(parse_hjson(text.encode(), source=source), tree=tree, source=source)
    settings = recorded_campaign(workdir)
    if settings is None:
        raise UsageError(_NO_CAMPAIGN.format(workdir=workdir.root))
    return settings
