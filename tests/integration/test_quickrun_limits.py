"""What never ends by itself is ended, with limits that are shorter here than the command's own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.adapters import claims
from magma_remote.adapters.docker import DockerRunner
from magma_remote.adapters.machine import this_machine
from magma_remote.cli.here import image_owner
from magma_remote.cli.loading import load
from magma_remote.cli.progress import PlainReporter
from magma_remote.model.cpu_request import layout_for
from magma_remote.model.layout import Workdir
from magma_remote.model.outcome import Reason
from magma_remote.runtime.images.images import Images
from magma_remote.runtime.pool import Pool
from magma_remote.runtime.trial.cache import Cache
from magma_remote.runtime.trial.trial import Site
from tests.support.processes.quickrun import CPUS, entries

if TYPE_CHECKING:
    from magma_remote.model.result import Result
    from tests.support.processes.quickrun import Lab

# The SDK shuts the socket of a stream down, and leaves it to the collector with a warning
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("collected"),
]


def run_one(lab: Lab, fuzzargs: str, **limits: Any) -> Result:
    """One trial of `hangs`."""
    file = lab.campaign(FUZZERS=["hangs"], FUZZARGS={"hangs": fuzzargs}, WORKER_POOL=CPUS[:1], TIMEOUT="1s")
    loaded = load(file, None)
    workdir = Workdir(lab.workdir())
    for folder in (workdir.root, workdir.ar, workdir.logs, workdir.records, workdir.staging):
        folder.mkdir()
    cache = Cache.of(loaded.campaign, workdir)
    cache.open()
    runner, reporter = DockerRunner(), PlainReporter(sys.stdout)
    images = Images(
        runner=runner,
        guards=claims,
        reporter=reporter,
        campaign=loaded.campaign,
        campaign_id="test",
        root=loaded.root,
        owner=image_owner(),
        workdir=workdir,
        worker_ip="here",
        cpus=(CPUS[0],),
    )
    site = Site(campaign=loaded.campaign, campaign_id="test", workdir=workdir, cache=cache, runner=runner, **limits)
    with claims.workdir_lock(workdir.root):
        image = images.ensure(images.recipe("hangs", "toy"))
        pool = Pool(site, layout_for(loaded.campaign, *this_machine()), reporter)
        (result,) = pool.run({loaded.jobs[0]: image}).values()
    return result


@pytest.mark.parametrize(
    ("fuzzargs", "limits", "reason", "message"),
    [
        ("", {"overrun": 1.0}, Reason.OVERRAN, "the fuzzer did not end after its 1 s"),
        ("--slow-seeds", {"launch_limit": 1.0}, Reason.NOT_LAUNCHED, "seed pruning did not end"),
    ],
    ids=["fuzzer", "seed pruning"],
)
def test_ended_and_named(lab: Lab, fuzzargs: str, limits: dict[str, float], reason: Reason, message: str) -> None:
    result = run_one(lab, fuzzargs, **limits)
    assert (result.reason, result.message) == (reason, message)
    assert not entries(lab.workdir())
    assert not lab.containers()
