"""What quickrun costs over the ideal, on real containers of the demo tree.

Prints whole-process figures; run it on an otherwise idle machine with `make bench`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
TIMEOUT = 5
GAP_TRIALS = 4


@dataclass(frozen=True, kw_only=True)
class Run:
    """One quickrun: wall seconds over the ideal, and seconds between one container's end and the next one's start."""

    overhead: float
    gaps: tuple[float, ...]


def main() -> None:
    """Warm up, so that no image is built while the clock runs, then measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--rounds", type=int, default=5, help="measured runs of each kind (default 5)")
    rounds = parser.parse_args().rounds
    cpus = sorted(os.sched_getaffinity(0))[:2]
    _quickrun(trials=1, pool=cpus[:1], timeout=1)
    bare = [_bare_run() for _ in range(rounds)]
    side = [_quickrun(trials=len(cpus), pool=cpus, timeout=TIMEOUT).overhead for _ in range(rounds)]
    chain = [_quickrun(trials=GAP_TRIALS, pool=cpus[:1], timeout=TIMEOUT) for _ in range(max(1, rounds // 2))]
    gaps = [gap for run in chain for gap in run.gaps]
    print(f"seconds, {rounds} rounds{'':30}min  median     max")
    _row("bare `docker run` of the image, `true` as its entry", bare)
    _row(f"quickrun, {len(cpus)} trials of {TIMEOUT} s on {len(cpus)} CPUs: overhead", side)
    _row(f"quickrun, {GAP_TRIALS} trials of {TIMEOUT} s on 1 CPU: overhead", [run.overhead for run in chain])
    _row("gap between two trials on a CPU", gaps)
    print(f"gap / bare docker run, medians: {statistics.median(gaps) / statistics.median(bare):.2f}")


def _row(name: str, values: list[float]) -> None:
    print(f"{name:52}{min(values):7.3f} {statistics.median(values):7.3f} {max(values):7.3f}")


def _quickrun(*, trials: int, pool: list[int], timeout: int) -> Run:
    with tempfile.TemporaryDirectory() as scratch:
        campaign = Path(scratch, "campaign.hjson")
        settings = {
            "REPEAT": trials,
            "FUZZERS": ["aflplusplus"],
            "TARGETS": ["libpng"],
            "WORKER_POOL": pool,
            "TIMEOUT": f"{timeout}s",
            "POLL": 1,
            "MAGMA": str(REPO / "examples/magma"),
        }
        campaign.write_text(json.dumps(settings))
        workdir = Path(scratch, "work")
        command = [sys.executable, "-m", "magma_remote", "quickrun", str(campaign), "--workdir", str(workdir)]
        since = time.time()
        begun = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)
        wall = time.monotonic() - begun
        ideal = math.ceil(trials / len(pool)) * timeout
        return Run(overhead=wall - ideal, gaps=_gaps(workdir, since) if len(pool) == 1 else ())


def _gaps(workdir: Path, since: float) -> tuple[float, ...]:
    """From the engine's own events: `die` of one container to `start` of the next."""
    answer = _docker(
        "events",
        f"--since={since:.3f}",
        f"--until={time.time():.3f}",
        f"--filter=label=magma-remote.workdir={workdir}",
        "--format={{json .}}",
    )
    events = [json.loads(line) for line in answer.splitlines()]
    ends = [event["timeNano"] for event in events if event["Action"] == "die"]
    starts = [event["timeNano"] for event in events if event["Action"] == "start"]
    return tuple((start - end) / 1e9 for end, start in zip(ends, starts[1:], strict=False))


def _bare_run() -> float:
    begun = time.monotonic()
    _docker("run", "--rm", "--network=none", "--entrypoint=true", "magma/aflplusplus/libpng")
    return time.monotonic() - begun


def _docker(*args: str) -> str:
    return subprocess.run(["docker", *args], check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout


if __name__ == "__main__":
    main()
