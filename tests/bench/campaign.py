"""What the queue runtime costs: campaigns of trials that take no time, through a real beanstalkd.

Jobs per second from the dispatcher's start to its end, beside what greenstalk alone puts, reserves and deletes in one
process on the same server just before; and the dispatcher's peak memory. beanstalkd is as it is deployed: on a unix
socket, with a binlog that it syncs every 50 ms at the most, its default. Exit code 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import greenstalk

from magma_remote.model.messages import JobMessage
from tests.bench.campaign_processes import make_jobs, run_campaign
from tests.support.servers.beanstalkd import Beanstalkd

SIZES = (1_000, 5_000, 20_000)
SLOTS = 20
SHARE = 0.25
"""Goal: of what greenstalk alone does."""

MEMORY = 150.0
"""Goal: MB that the dispatcher may take at its peak."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """Jobs per second of greenstalk alone and of a campaign; its dispatcher's peak in MB, and the CPUs it kept busy."""

    raw: float
    rate: float
    peak: float
    cpus: float

    @property
    def share(self) -> float:
        """The campaign's part of what the queue could do."""
        return self.rate / self.raw


def main() -> int:
    """Measure each size so many times, print medians, judge the largest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--rounds", type=int, default=3, help="measured campaigns of each size (default 3)")
    parser.add_argument("-w", "--workers", type=int, default=2, help=f"processes with {SLOTS} slots in all (default 2)")
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES, metavar="JOBS", help="campaigns' sizes")
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{asked.workers} workers, {SLOTS} slots, {os.cpu_count()} CPUs, load {load:.1f}; medians of {asked.rounds}")
    print(f"{'jobs':>7}{'greenstalk/s':>15}{'campaign/s':>13}{'share':>8}{'dispatcher: peak MB':>22}{'CPUs':>7}")
    share = peak = 0.0
    for size in asked.sizes:
        rounds = [_round(size, asked.workers) for _ in range(asked.rounds)]
        raw, rate, share, peak, cpus = (
            statistics.median(getattr(each, name) for each in rounds)
            for name in ("raw", "rate", "share", "peak", "cpus")
        )
        print(f"{size:7}{raw:15.0f}{rate:13.0f}{share:8.2f}{peak:22.1f}{cpus:7.2f}", flush=True)
    return _judge(share, peak)


def _judge(share: float, peak: float) -> int:
    missed = 0
    for name, met, goal in (
        ("share", share >= SHARE, f"at least {SHARE:g}"),
        ("peak memory", peak < MEMORY, f"under {MEMORY:g} MB"),
    ):
        print(f"{name} of the largest: {goal} is {'met' if met else 'MISSED'}")
        missed += not met
    return 1 if missed else 0


def _round(size: int, workers: int) -> Round:
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, Beanstalkd(Path(scratch)) as server:
        address = str(server.address)
        raw = _raw(address, size)
        outcome = run_campaign(address, Path(scratch), size, workers=workers, slots=SLOTS)
        assert outcome.done == size, f"{outcome.done} of {size} jobs are done"
    return Round(raw=size / raw, rate=size / outcome.seconds, peak=outcome.peak, cpus=outcome.cpu / outcome.seconds)


def _raw(address: str, count: int) -> float:
    """Seconds in which greenstalk alone puts so many jobs, and reserves and deletes them."""
    bodies = [
        JobMessage(config_id="0" * 12, number=number, attempt=1, job=job).encode()
        for number, job in enumerate(make_jobs(count))
    ]
    with greenstalk.Client(address, encoding=None, use="raw", watch="raw") as client:
        begun = time.monotonic()
        for body in bodies:
            client.put(body)
        for _ in bodies:
            client.delete(client.reserve())
        return time.monotonic() - begun


if __name__ == "__main__":
    sys.exit(main())
