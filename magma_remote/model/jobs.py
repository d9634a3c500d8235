"""A job, its text for people and its form on the wire."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, order=True)
class Job:
    """One trial to run: `repeat` counts from 0; `args` and `fuzzargs` are the strings that Magma gets."""

    repeat: int
    fuzzer: str
    target: str
    program: str
    args: str = ""
    fuzzargs: str = ""
