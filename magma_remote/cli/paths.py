"""Paths on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import os


class NamedPath(click.Path):
    """Refuses an empty text: an unset variable of a shell would mean the current folder."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """As click's, as a Path."""
        if value == "":
            self.fail("is empty: an unset variable? The current folder is .", param, ctx)
        return super().convert(value, param, ctx)
