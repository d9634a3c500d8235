"""What a trial's speed and outcome may hang on beside its campaign: the machine that it ran on, and its programs."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Facts of a machine as they were when a trial began; None where one is not known.

    `cpu` is the CPUs' model and `docker` the version of Docker Engine.
    """

    host: str | None = None
    system: str | None = None
    kernel: str | None = None
    cpu: str | None = None
    docker: str | None = None
    magma_remote: str | None = None

    @classmethod
    def from_record(cls, record: object) -> Machine | None:
        """From a JSON object with these facts; None where it is none, or says nothing."""
        if not isinstance(record, dict):
            return None
        told = {field.name: record.get(field.name) for field in fields(cls)}
        known = {name: value for name, value in told.items() if isinstance(value, str) and value}
        return cls(**known) if known else None
