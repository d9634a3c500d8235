"""What a report of 10 fuzzers x 20 programs x 10 repeats costs: seconds, memory, size of the page.

python -m tests.bench.report [FOLDER]
"""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.report.generated import generated

MEBI = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one report; `cpu` and `wall` are seconds with the import of the libraries, `peak` and `page` bytes."""

    trials: int
    bugs: int
    cpu: float
    wall: float
    peak: int
    page: int


def measure(folder: Path) -> Cost:
    """Make the report of 2,000 generated trials in this process."""
    experiment = generated(fuzzers=10, targets=20, programs=1, repeats=10, bugs=10, lost=7)
    wall, cpu = time.perf_counter(), time.process_time()
    from magma_remote.report.making import make_report  # noqa: PLC0415 - a part of what is measured

    made = make_report(experiment, folder, title="Ten fuzzers on twenty programs")
    return Cost(
        trials=len(experiment.trials) + len(experiment.missing),
        bugs=len(made.report.bugs),
        cpu=time.process_time() - cpu,
        wall=time.perf_counter() - wall,
        peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        page=made.page.stat().st_size,
    )


def main() -> None:
    """Print it, as a line for people."""
    with TemporaryDirectory() as scratch:
        cost = measure(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(scratch))
    print(
        f"report of {cost.trials:,} trials with {cost.bugs} bugs: {cost.wall:.1f} s ({cost.cpu:.1f} s of CPU), "
        f"{cost.peak / MEBI:.0f} MiB at most, page of {cost.page / MEBI:.1f} MiB"
    )


if __name__ == "__main__":
    main()
