"""A worker's mark of a complete result, its WORKDIRS/runs/RUN.json, as it is read from another machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..errors import WireError
from . import wire
from .messages import Feedback, JobMessage, Place, run_folder

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What a worker says of a result that it has."""

    job: JobMessage
    feedback: Feedback


def read_mark(name: str, data: bytes, place: Place) -> Mark:
    """A mark whose file has this name, with its result where `place` says now; WireError for anything else.

    The mark itself may name another place: the one that its worker had then.
    """
    facts = _facts(data)
    job = JobMessage.decode(wire.build(JobMessage, facts.get("job")).encode())
    told = wire.build(Feedback, facts.get("feedback"))
    folder = f"{place.workdirs}/{run_folder(told.config_id, told.run)}"
    now = replace(place, folder=folder, token=told.place.token, cpus=told.place.cpus)
    feedback = Feedback.decode(replace(told, place=now).encode())
    same = (job.config_id, job.number, job.attempt) == (feedback.config_id, feedback.number, feedback.attempt)
    if not same or name != f"{feedback.run}.json":
        raise WireError(f"its job, its result and its name {name} are not of one run")
    return Mark(job=job, feedback=feedback)


def _facts(data: bytes) -> dict[str, Any]:
    found = wire.parsed(data)
    version = found.get("version") if isinstance(found, dict) else None
    if type(version) is not int or version != VERSION:
        raise WireError(f"it is not of version {VERSION}: update the older host")
    return dict(found)
