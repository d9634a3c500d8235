"""A campaign of the demo tree on the lab."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.lab.lab import DISPATCHER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.support.lab.lab import Lab, Played

TRIALS, TRIAL_SECONDS = 6, 10
TRIAL = "aflplusplus/libpng/libpng_read_fuzzer"
CAMPAIGN = """
  // Hjson as people write it: no outer braces, no commas
  REPEAT: {repeat}
  FUZZERS: ["aflplusplus"]
  TARGETS: ["libpng",]
  TIMEOUT: {seconds}s
"""


def status(lab: Lab) -> dict[str, Any]:
    """What `status --json` says on the dispatcher, empty where there is no campaign."""
    done = lab.run(DISPATCHER, "magma-remote", "status", "--json")
    answer: dict[str, Any] = json.loads(done.output) if done.code == 0 else {}
    return answer if answer.get("campaign") else {}


def runs_on(lab: Lab, worker: str) -> bool:
    """Whether a worker has a trial that fuzzes."""
    return any(run["name"] == worker and run["phase"] == "fuzzing" for run in status(lab).get("running", ()))


def count(lab: Lab, state: str) -> int:
    """How many jobs are in a state."""
    return int(status(lab).get("counts", {}).get(state, 0))


class Campaign:
    """A campaign that `campaign.yml -e wait=true` follows in the background."""

    def __init__(self, lab: Lab, folder: Path, *, hosts: Sequence[str]) -> None:
        self.log = folder / "campaign.txt"
        self.name = "first"
        self._lab = lab
        self._file = folder / f"{self.name}.hjson"
        self._words = ("-e", f"@{self._file}", "-e", "wait=true", "-e", "campaign_ttr=20")
        self.write()
        self.process = lab.start_play("campaign.yml", *self._words, "--limit", ",".join(hosts), log=self.log)

    @property
    def output(self) -> str:
        """What it said so far."""
        return self.log.read_text(errors="replace")

    def end(self) -> int:
        """Wait for its end, and return its exit code."""
        return self.process.wait(600)

    def write(self, *, repeat: int = TRIALS, seconds: int = TRIAL_SECONDS) -> None:
        """Replace its file."""
        self._file.write_text(CAMPAIGN.format(repeat=repeat, seconds=seconds))

    def extend(self) -> Played:
        """Have it extended to what its file says now, and follow it to its end."""
        return self._lab.play("campaign.yml", *self._words, "-e", "extend=true")
