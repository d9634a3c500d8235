"""Standard output whose reader may go away."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

    from _typeshed import ReadableBuffer


class _LastingFile(io.FileIO):
    """Drops what cannot be written."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(memoryview(data))


def lasting(stream: TextIO) -> TextIO:
    """The same stream, which falls silent once its terminal or pipe is gone: that must not cost a campaign."""
    try:
        file = _LastingFile(stream.fileno(), "w", closefd=False)
    except io.UnsupportedOperation:  # a stream in memory
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(file), encoding=stream.encoding, errors=stream.errors, line_buffering=True
    )
