"""`magma-remote images`: a campaign's images in the dispatcher's registry, before or while it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from magma_remote.adapters import claims
from magma_remote.cli.aside import aside
from magma_remote.cli.beside import print_json
from magma_remote.cli.loading import MAGMA
from magma_remote.cli.progress import PlainReporter
from magma_remote.cli.settings import SETTINGS, load_dispatch
from magma_remote.cli.supplying import make_folder, pins_of, provision_for
from magma_remote.errors import UsageError
from magma_remote.model.document import show
from magma_remote.model.findings import listed
from magma_remote.model.plain import plain
from magma_remote.runtime.images.provision import ImageState
from magma_remote.runtime.images.tree_digest import pairs
from magma_remote.runtime.signals import on_stop, raise_stopped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from magma_remote.cli.loading import Loaded
    from magma_remote.model.settings import DispatcherSettings
    from magma_remote.runtime.images.provision import Provided

Pair = tuple[str, str]


@click.command(short_help="Build a campaign's images and put them into the dispatcher's registry.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--only", metavar="FUZZER/TARGET", multiple=True, help="Only this image; may be given several times.")
@click.option("--check", is_flag=True, help="Change nothing: say what is there and what would be built.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@SETTINGS
@MAGMA
@aside
def images(
    *, file: Path | None, only: tuple[str, ...], check: bool, as_json: bool, settings: Path | None, magma: Path | None
) -> None:
    """Find or build the images of the campaign FILE (or JOBS_CONFIG of the settings), and push them to REGISTRY.

    An image that is there and was made from the same files is neither built nor pushed. `dispatch` does the same
    when it starts. Logs of builds are in WORKDIR/log. Nothing is built while trials run on this machine.

    \b
    Example:
      magma-remote images campaign.hjson --settings dispatcher.hjson --check

    Exit code 1 if any image did not build, 2 if the campaign cannot run as asked.
    """
    chosen, loaded = load_dispatch(settings, file, magma)
    if not chosen.registry:
        raise UsageError("the settings name no registry to push images to: add REGISTRY, such as 127.0.0.1:5000")
    wanted = _wanted(only, pairs(loaded.campaign))
    with on_stop(raise_stopped):
        found = _provide(chosen, loaded, wanted, check=check)
    if as_json:
        print_json({"images": [_members(each, chosen.registry) for each in found]})
    else:
        for each in found:
            click.echo(_line(each, chosen.registry))
    sys.exit(1 if any(each.state is ImageState.FAILED for each in found) else 0)


def _provide(
    chosen: DispatcherSettings, loaded: Loaded, wanted: Sequence[Pair], *, check: bool
) -> tuple[Provided, ...]:
    config_id, pins = pins_of(chosen, loaded)
    provision = provision_for(chosen, loaded, pins, PlainReporter(sys.stderr), campaign_id=config_id)
    found = provision.look(wanted)
    if check or all(each.state is ImageState.PRESENT for each in found):
        return found
    make_folder(chosen.workdir)
    with claims.workdir_lock(chosen.workdir, task="images"):
        return provision.ensure(wanted)


def _wanted(only: Sequence[str], every: Sequence[Pair]) -> tuple[Pair, ...]:
    names = {"/".join(pair): pair for pair in every}
    unknown = [name for name in only if name not in names]
    if unknown:
        raise UsageError(
            f"--only: the campaign has no image {listed(map(show, unknown))}; its images are {listed(names)}"
        )
    return tuple(pair for name, pair in names.items() if not only or name in only)


def _members(each: Provided, registry: str) -> dict[str, Any]:
    return {
        "fuzzer": each.pair[0],
        "target": each.pair[1],
        "reference": each.reference(registry),
        "state": each.state.value,
        "message": each.message,
        "log": each.log or None,
    }


def _line(each: Provided, registry: str) -> str:
    return f"{each.state.value:8} {'/'.join(each.pair)}: {each.reference(registry) or plain(each.message)}"
