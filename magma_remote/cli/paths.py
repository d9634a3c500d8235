"""Paths on the command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click


class NamedPath(click.Path):
    """Refuses an empty text, since an unset variable of a shell would mean the current folder, and links to itself."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """As click's, as a Path."""
        if value == "":
            self.fail("is empty: an unset variable? The current folder is .", param, ctx)
        try:
            Path(value).resolve()
        except RuntimeError:  # what Python makes of it
            self.fail(f"{os.fspath(value)!r} is a link to itself, or behind one", param, ctx)
        return super().convert(value, param, ctx)
