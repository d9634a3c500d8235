"""Tables on terminals that may be too narrow for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from typing import TextIO

    from rich.table import Table

_ANY_WIDTH = 100_000  # a file or a pipe loses nothing


def console_for(stream: TextIO, least: Table) -> Console:
    """As wide as the terminal, and as the table `least` at least: Rich takes columns away where there is less room.

    A line that is longer than the terminal is wide is broken by that, and nothing of it is lost.
    """
    width = None if stream.isatty() else _ANY_WIDTH
    console = Console(file=stream, width=width, highlight=False, markup=False, emoji=False)
    needed = console.measure(least, options=console.options.update(max_width=_ANY_WIDTH)).maximum
    console.width = max(console.width, needed)
    return console
