"""What the commands share that work beside a running dispatcher."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from magma_remote.adapters import claims
from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.cli.settings import load_dispatcher
from magma_remote.cli.settings_check import LEDGER
from magma_remote.errors import BusyError, NoCampaignError
from magma_remote.model.layout import Workdir
from magma_remote.model.units import human_seconds
from magma_remote.runtime.collecting.leftovers import worker_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from magma_remote.model.settings import DispatcherSettings

JSON_VERSION = 1
DISPATCH = "`magma-remote dispatch`"


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A dispatcher's settings and its ledger."""

    settings: DispatcherSettings
    ledger: SqliteLedger

    @property
    def workdir(self) -> Workdir:
        """Where results are."""
        return Workdir(self.settings.workdir)

    def is_dispatched(self) -> bool:
        """Whether a dispatcher runs there now; True where this user cannot tell."""
        return claims.is_held(self.settings.workdir)

    def refuse_second(self) -> None:
        """BusyError where a command of ours that is no dispatcher has WORKDIR now: it may keep that for hours.

        Nobody would see what this one waits for where a playbook has called it.
        """
        workdir = self.settings.workdir
        if holder := claims.at_work(workdir):
            seconds = 0.0 if holder.since is None else max(0.0, time.time() - holder.since)
            raise BusyError(
                f"{workdir}: {holder} has been at work there for {human_seconds(seconds)}: results come in by one "
                "command at a time; wait for its end, then the same command again goes on from there"
            )

    def worker_names(self) -> Mapping[str, str]:
        """What people call the workers, by their ids."""
        return worker_names(self.ledger)


@contextmanager
def beside(given: Path | None, *, read_only: bool = True) -> Iterator[Beside]:
    """Open what a dispatcher's settings name, for the block; NoCampaignError where nothing was dispatched yet."""
    settings = load_dispatcher(given)
    path = settings.workdir / LEDGER
    if not path.exists():
        raise NoCampaignError(
            f"no campaign yet: {path} is not there; start one with {DISPATCH}, or name other --settings"
        )
    ledger = SqliteLedger.open_existing(path, read_only=read_only)
    try:
        yield Beside(settings=settings, ledger=ledger)
    finally:
        ledger.close()


def print_json(members: Mapping[str, Any]) -> None:
    """One object for programs, on a line of its own."""
    click.echo(json.dumps({"version": JSON_VERSION, **members}))
