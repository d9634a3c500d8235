"""Messages as they come: one that cannot be read is put aside and told, and is nobody's end."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from magma_remote.errors import WireError

if TYPE_CHECKING:
    from magma_remote.model.messages import Message
    from magma_remote.ports import Delivery, Queue

    T = TypeVar("T", bound=Message)

log = logging.getLogger(__name__)


def read_or_bury(queue: Queue, delivery: Delivery, kind: type[T]) -> T | None:
    """A reserved message's content; None where it is none of this kind and version, and buried now."""
    try:
        return kind.decode(delivery.body)
    except WireError as error:
        log.error("buried a message on %s: %s", delivery.tube, error)  # noqa: TRY400 - a traceback says no more
        queue.bury(delivery)
        return None
