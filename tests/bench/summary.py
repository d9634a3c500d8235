"""What `magma-remote summary` takes for 2,000 tarballs, beside `tar -tf` of all of them, in the same run.

Each tarball is that of a trial of TIMEOUT 24h and POLL 60 with some findings. Both read what the other has read: the
first pass of each is not measured.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.workdirs.merged import Ball, Merged, dump

if TYPE_CHECKING:
    from collections.abc import Callable

TRIALS = 2000
DUMPS = 1440
FINDINGS = 400
BUGS = 12


def main() -> None:
    """Make them, read them in turns, print the best of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--rounds", type=int, default=3, help="measured rounds (default 3)")
    parser.add_argument("--trials", type=int, default=TRIALS, help=f"how many tarballs (default {TRIALS})")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        merged = Merged(Path(scratch, "workdir"))
        size = _make(merged, chosen.trials)
        tars = sorted(merged.root.glob("ar/*/*/*/*/ball.tar"))
        cpus = len(os.sched_getaffinity(0))
        kinds: dict[str, Callable[[], object]] = {
            "tar -tf, one after another": lambda: _list(tars, 1),
            f"tar -tf, {cpus} at once": lambda: _list(tars, cpus),
            "summary --processes 1": lambda: _summary(merged.root, 1),
            f"summary, {cpus} processes": lambda: _summary(merged.root, cpus),
        }
        print(f"{chosen.trials} tarballs of {size >> 10} KiB, {DUMPS} dumps and {FINDINGS} findings each; seconds")
        times = {name: [_timed(act) for _ in range(chosen.rounds + 1)][1:] for name, act in kinds.items()}
        for name, found in times.items():
            print(f"{name:32}{min(found):7.2f} to {max(found):.2f}")
        one, many = (min(found) for name, found in times.items() if name.startswith("summary"))
        tar_one, tar_many = (min(found) for name, found in times.items() if name.startswith("tar"))
        print(f"summary / tar -tf: {one / tar_one:.2f} on one CPU, {many / tar_many:.2f} on {cpus}")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
        print(f"largest process: {peak} MiB")


def _make(merged: Merged, trials: int) -> int:
    """One tarball, linked to many places: each is opened and read anew, whatever it is called."""
    random_ = random.Random(1)
    counts = [0] * (2 * BUGS)
    header = ",".join(f"AAH{bug:03}_{kind}" for bug in range(BUGS) for kind in "RT")
    files: dict[str, str | bytes] = {
        f"findings/default/queue/id:{number:06}": random_.randbytes(random_.randrange(1, 2000))
        for number in range(FINDINGS)
    }
    for number in range(1, DUMPS + 1):
        counts = [count + random_.randrange(1000) * (number > 90 * at) for at, count in enumerate(counts)]
        files[f"monitor/{60 * number}"] = dump(*counts, header=header)
    first = merged.root / "ball.tar"
    Ball(files=files, folders=("findings", "monitor")).tar(first)
    for number in range(trials):
        place = (f"fuzzer{number % 10}", f"target{number // 10 % 20}", "program", number // 200)
        merged.entry(place).mkdir(parents=True)
        shutil.copyfile(first, merged.entry(place) / "ball.tar")
    return first.stat().st_size


def _timed(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def _list(tars: list[Path], at_once: int) -> None:
    def one(path: Path) -> None:
        subprocess.run(["tar", "-tf", path], check=True, stdout=subprocess.DEVNULL)

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(one, tars))


def _summary(workdir: Path, processes: int) -> None:
    command = [sys.executable, "-m", "magma_remote", "summary", str(workdir), "--processes", str(processes)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
