"""What the commands share that work beside a running dispatcher."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from magma_remote.adapters import claims
from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.cli.settings import load_dispatcher
from magma_remote.cli.settings_check import LEDGER
from magma_remote.errors import NoCampaignError
from magma_remote.model.layout import Workdir
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
