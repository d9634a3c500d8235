"""A process that writes to a ledger until it is killed or done: `python -m tests.support.ledger.writer LEDGER WHAT`."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.model.entries import Warned


def half(ledger: SqliteLedger) -> None:
    """Change every job and be killed before the end."""
    with ledger.transaction():
        for entry in ledger.jobs():
            ledger.save_job(replace(entry, attempts=99))
        print("half", flush=True)
        time.sleep(60)


def lines(ledger: SqliteLedger) -> None:
    """Save two entries that belong together, again and again, and say so after each."""
    for attempts in range(1, 1_000_000):
        with ledger.transaction():
            for entry in ledger.jobs(limit=2):
                ledger.save_job(replace(entry, attempts=attempts))
        print(attempts, flush=True)


def count(ledger: SqliteLedger) -> None:
    """Add 1 to what is there, 200 times."""
    for _ in range(200):
        with ledger.transaction():
            entry = ledger.job(0)
            assert entry
            ledger.save_job(replace(entry, attempts=entry.attempts + 1))
            ledger.save_warnings([Warned(key=str(number), text="", at=1.0) for number in range(5)])
    print("counted", flush=True)


if __name__ == "__main__":
    {"half": half, "lines": lines, "count": count}[sys.argv[2]](SqliteLedger(Path(sys.argv[1])))
