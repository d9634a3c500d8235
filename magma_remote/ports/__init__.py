"""What the runtime needs of the outside world, a protocol each."""

from __future__ import annotations

from .engine import Guards, LogLine, Owned, Runner
from .ledger import Ledger
from .outside import Clock, Crew, Marks, Results, Transfer
from .queue import NORMAL, Delivery, DeliveryStats, Queue, TubeStats
from .registry import Pulled, Registry
from .reporter import BuildReporter, ExtractReporter, Reporter, Running
from .station import Assignment, Kept, Prepared, RunEnded, Station

__all__ = [
    "NORMAL",
    "Assignment",
    "BuildReporter",
    "Clock",
    "Crew",
    "Delivery",
    "DeliveryStats",
    "ExtractReporter",
    "Guards",
    "Kept",
    "Ledger",
    "LogLine",
    "Marks",
    "Owned",
    "Prepared",
    "Pulled",
    "Queue",
    "Registry",
    "Reporter",
    "Results",
    "RunEnded",
    "Runner",
    "Running",
    "Station",
    "Transfer",
    "TubeStats",
]
