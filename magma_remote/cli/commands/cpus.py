"""`magma-remote cpus`: which CPU sets campaigns would be pinned to."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from magma_remote.adapters.machine import this_machine
from magma_remote.cli.loading import MAGMA, load
from magma_remote.errors import UsageError
from magma_remote.model.campaign import WorkerMode
from magma_remote.model.cpus import check_demands, cpu_list, cpu_sets
from magma_remote.model.lscpu import parse_lscpu
from magma_remote.model.schedule import sets_needed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from magma_remote.model.campaign import Campaign
    from magma_remote.model.cpus import CpuSet, Layout
    from magma_remote.model.lscpu import Cpu

_RANGE = r"\s*([0-9]{1,6})(?:-([0-9]{1,6}))?\s*"


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Wanted:
    """How to share out, in a campaign file's terms; None where neither file nor option says."""

    mode: WorkerMode | None = None
    workers: int | None = None
    pool: CpuSet | None = None
    campaign_workers: int | None = None

    def over(self, campaign: Campaign) -> _Wanted:
        """Fill in from a campaign file what no option gives."""
        return _Wanted(
            mode=self.mode or campaign.worker_mode,
            workers=self.workers or campaign.workers,
            pool=self.pool or campaign.worker_pool,
            campaign_workers=self.campaign_workers or campaign.campaign_workers,
        )

    def layout(self, cpus: Sequence[Cpu], allowed: frozenset[int] | None) -> Layout:
        if self.workers and self.pool:
            raise UsageError(
                f"--workers {self.workers} and --pool {cpu_list(self.pool)} exclude each other, "
                "as WORKERS and WORKER_POOL of a campaign file do; drop one of them"
            )
        return cpu_sets(
            cpus,
            mode=self.mode or WorkerMode.LOGICAL,
            workers=self.workers,
            pool=self.pool,
            campaign_workers=self.campaign_workers or 1,
            allowed=allowed,
        )


def _pool(_context: click.Context, _option: click.Parameter, text: str | None) -> CpuSet | None:
    """Read `1,3,5` or `0-3,8`."""
    if text is None:
        return None
    numbers: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(_RANGE, part, re.ASCII)
        several = found and range(int(found[1]), int(found[2] or found[1]) + 1)
        if not several:
            raise click.BadParameter(f"{part!r} is no CPU number; write them as 1,3,5 or 0-3,8")
        numbers += several
    if len(set(numbers)) < len(numbers):
        raise click.BadParameter(f"{text!r} names a CPU twice")
    return tuple(sorted(numbers))


@click.command(short_help="Show the CPU sets that campaigns are pinned to.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in WorkerMode]),
    help="What is never split: logical CPUs, physical cores or sockets (WORKER_MODE).  [default: logical]",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Use at least N logical CPUs (WORKERS).  [default: all]",
)
@click.option(
    "--pool",
    callback=_pool,
    metavar="LIST",
    help="Use exactly these CPUs, such as 1,3,5 or 0-3,8, in logical mode (WORKER_POOL).",
)
@click.option(
    "--campaign-workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Give each set at least N logical CPUs (CAMPAIGN_WORKERS).  [default: 1]",
)
@click.option(
    "--lscpu",
    type=click.File("r", encoding="utf-8", errors="replace"),
    metavar="FILE",
    help="Read another machine's saved `lscpu -bp`, `-` for standard input.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with all there is to say.")
@MAGMA
def cpus(
    *,
    file: Path | None,
    mode: str | None,
    workers: int | None,
    pool: CpuSet | None,
    campaign_workers: int | None,
    lscpu: TextIO | None,
    as_json: bool,
    magma: Path | None,
) -> None:
    """Show the CPU sets that campaigns are pinned to, one a line.

    FILE is a campaign file whose CPU keys are taken; options override them. CPUs that are offline or
    outside this process's affinity mask are never used. Nothing is claimed or changed.

    \b
    Examples:
      every CPU of this machine:
        magma-remote cpus
      what a campaign file asks for:
        magma-remote cpus campaign.hjson
      whole cores, at least 8 logical CPUs:
        magma-remote cpus --mode physical --workers 8
      two sets, 1,3 and 5,7:
        magma-remote cpus --pool 1,3,5,7 --campaign-workers 2
      another machine's:
        ssh host lscpu -bp | magma-remote cpus --lscpu -
    """
    wanted = _Wanted(
        mode=WorkerMode(mode) if mode else None,
        workers=workers,
        pool=pool,
        campaign_workers=campaign_workers,
    )
    campaign = load(file, magma).campaign if file else None
    wanted = wanted.over(campaign) if campaign else wanted
    layout = wanted.layout(*((parse_lscpu(lscpu.read()), None) if lscpu else this_machine()))
    demands = _demands(campaign, wanted)
    check_demands(layout.sets, demands)
    click.echo(_as_json(layout, demands) if as_json else "\n".join(map(_text, layout.sets)))
    for remark in _remarks(layout, demands, wanted):
        click.echo(f"magma-remote: {remark}", err=True)


def _demands(campaign: Campaign | None, wanted: _Wanted) -> dict[str, int]:
    """Logical CPUs that one campaign of each fuzzer takes at least."""
    if campaign is None:
        return {}
    default = wanted.campaign_workers or 1
    return {name: campaign.fuzzer_campaign_workers.get(name, default) for name in campaign.fuzzers}


def _text(cpus: CpuSet) -> str:
    return ",".join(map(str, cpus))


def _as_json(layout: Layout, demands: Mapping[str, int]) -> str:
    return json.dumps(
        {
            "mode": layout.mode.value,
            "sets": layout.sets,
            "left_over": layout.left_over,
            "spare": layout.spare,
            "outside": layout.outside,
            "sets_per_campaign": _sets_per_campaign(layout, demands),
        }
    )


def _sets_per_campaign(layout: Layout, demands: Mapping[str, int]) -> dict[str, int]:
    sizes = [len(cpus) for cpus in layout.sets]
    return {name: sets_needed(sizes, demand) for name, demand in demands.items()}


def _remarks(layout: Layout, demands: Mapping[str, int], wanted: _Wanted) -> Iterator[str]:
    """Say what a reader of the sets alone would miss."""
    if wanted.mode and wanted.mode is not layout.mode:
        yield f"a pool is always shared out in logical mode: WORKER_MODE {wanted.mode.value} does not apply"
    if layout.outside:
        yield f"outside this process's affinity mask, not used: CPUs {cpu_list(layout.outside)}"
    if layout.left_over:
        yield (f"left over, too few for one more set of {wanted.campaign_workers}: CPUs {cpu_list(layout.left_over)}")
    for name, count in _sets_per_campaign(layout, demands).items():
        if count > 1:
            yield f"a campaign of {name} takes {count} sets at once, for its {demands[name]} logical CPUs"
