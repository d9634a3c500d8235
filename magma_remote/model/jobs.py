"""A job, its text for people and its form on the wire; a campaign's jobs in their order."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ..errors import WireError
from .document import show
from .names import is_one_line, is_plain_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .campaign import Campaign
    from .tree import MagmaTree

MOST_JOBS = 1_000_000
WIRE_VERSION = 1


@dataclass(frozen=True, kw_only=True, order=True, slots=True)  # there may be a million
class Job:
    """One trial to run: `repeat` counts from 0; `args` and `fuzzargs` are the strings that Magma gets."""

    repeat: int
    fuzzer: str
    target: str
    program: str
    args: str = ""
    fuzzargs: str = ""

    def __str__(self) -> str:
        """The canonical text: `repeat,fuzzer,target,program args,fuzzargs`."""
        command = f"{self.program} {self.args}" if self.args else self.program
        return f"{self.repeat},{self.fuzzer},{self.target},{command},{self.fuzzargs}"

    def to_wire(self) -> str:
        """One line of JSON, ASCII only: `{"v": 1, "repeat": 0, "fuzzer": …}`, every field of the job."""
        return json.dumps({"v": WIRE_VERSION, **asdict(self)})

    def check(self) -> None:
        """WireError where a job that came over the wire could not be one of a campaign."""
        if type(self.repeat) is not int or not 0 <= self.repeat < MOST_JOBS:
            raise WireError(f"a job on the wire has no usable repeat: {show(repr(self.repeat))}")
        for name in (self.fuzzer, self.target, self.program):
            if not isinstance(name, str) or not is_plain_name(name):
                raise WireError(f"a job on the wire has no plain name: {show(repr(name))}")
        for text in (self.args, self.fuzzargs):
            if not isinstance(text, str) or not is_one_line(text):
                raise WireError(f"a job on the wire has arguments that are not one line: {show(repr(text))}")


def expand(campaign: Campaign, tree: MagmaTree) -> tuple[Job, ...]:
    """A checked campaign's jobs: for each fuzzer its list of programs, once per repeat."""
    return tuple(_jobs(campaign, tree))


def _jobs(campaign: Campaign, tree: MagmaTree) -> Iterator[Job]:
    for fuzzer in campaign.fuzzers:
        trials = _trials(campaign, tree, fuzzer)
        for repeat in range(campaign.repeat):
            for target, program in trials:
                yield Job(
                    repeat=repeat,
                    fuzzer=fuzzer,
                    target=target,
                    program=program,
                    args=tree.programs(target)[program],
                    fuzzargs=campaign.fuzzargs_for(fuzzer, target),
                )


def _trials(campaign: Campaign, tree: MagmaTree, fuzzer: str) -> list[tuple[str, str]]:
    return [
        (target, program)
        for target in campaign.targets_for(fuzzer)
        for program in campaign.programs_for(fuzzer, target, tree)
    ]


def count_jobs(campaign: Campaign, tree: MagmaTree) -> int:
    """How many jobs `expand` would give, without making them."""
    return campaign.repeat * sum(len(_trials(campaign, tree, fuzzer)) for fuzzer in campaign.fuzzers)
