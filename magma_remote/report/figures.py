"""What the report says, as figures without a form: made by analysis.py, written by tables.py and page.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from magma_remote.report.repeats import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from magma_remote.model.experiment import Experiment
    from magma_remote.report.repeats import Horizon
    from magma_remote.report.statistics import Spread
    from magma_remote.report.statistics_survival import Curve, Restricted


@dataclass(frozen=True, kw_only=True)
class Times:
    """How soon a fuzzer comes to a bug: `count` of `n` repeats saw it; nothing but that where no repeat is counted.

    `partly` of the `n` were watched for a part of their time. `elsewhere`: it was seen, but in no repeat that counts:
    a trial of it is missing, or was not watched any more.
    """

    kind: Kind
    n: int
    expected: int
    partly: int
    count: int
    interval: tuple[float, float] | None
    curve: Curve | None
    restricted: Restricted | None
    elsewhere: bool

    @property
    def seen(self) -> bool:
        """In any trial that is there."""
        return self.count > 0 or self.elsewhere


@dataclass(frozen=True, kw_only=True)
class Finder:
    """A fuzzer and a bug. Those of a bug that share one of their `letters` are not told apart by the log-rank test.

    Only fuzzers that were tested against each other have any.
    """

    fuzzer: str
    programs: tuple[str, ...]
    reached: Times
    triggered: Times
    letters: str = ""

    def times(self, kind: Kind | str) -> Times:
        """Those of the kind."""
        return self.reached if Kind(kind) is Kind.REACHED else self.triggered


@dataclass(frozen=True, kw_only=True)
class BugPair:
    """Log-rank of two fuzzers on a bug: z above 0 where x is sooner; None where neither triggered it."""

    x: str
    y: str
    z: float | None = None
    p: float | None = None
    adjusted: float | None = None
    exact: bool = False
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Bug:
    """A bug of a target, with every fuzzer that ran there."""

    target: str
    name: str
    finders: tuple[Finder, ...]
    pairs: tuple[BugPair, ...] = ()

    @property
    def best(self) -> Finder | None:
        """The fuzzer that triggers it soonest, by restricted mean, then by share; None where none does."""
        able = [finder for finder in self.finders if finder.triggered.count]
        return min(able, key=lambda finder: _soonness(finder.triggered), default=None)

    def sooner(self, x: str, y: str) -> float | None:
        """By how many seconds the restricted mean of x is below that of y; None where one of them has none."""
        means = {finder.fuzzer: finder.triggered.restricted for finder in self.finders}
        of_x, of_y = means[x], means[y]
        return of_y.mean - of_x.mean if of_x and of_y else None

    def total(self, kind: Kind | str) -> tuple[int, int]:
        """Counted repeats of all fuzzers that saw it, and all counted repeats."""
        all_times = [finder.times(kind) for finder in self.finders]
        return sum(times.count for times in all_times), sum(times.n for times in all_times)

    @property
    def difficulty(self) -> tuple[float, float, float, str]:
        """Sorts easy ones first: the best restricted mean, then the share that triggers it, then that reaches it."""
        count, n = self.total(Kind.TRIGGERED)
        reached, _ = self.total(Kind.REACHED)
        best = _soonness(self.best.triggered)[0] if self.best else float("inf")
        return best, -count / max(n, 1), -reached / max(n, 1), self.name


def _soonness(times: Times) -> tuple[float, float]:
    return (times.restricted.mean if times.restricted else float("inf")), -times.count / max(times.n, 1)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A fuzzer on a target, or on all: bugs per counted repeat, `n` of `expected`; `distinct` ones in all trials.

    `partly` of the `n` were watched for a part of their time. `why` says why there are no figures. `top`: it is the
    best of those that were tested against each other, or not told apart from that one.
    """

    fuzzer: str
    n: int
    expected: int
    partly: int
    spread: Mapping[Kind, Spread | None]
    distinct: Mapping[Kind, int]
    letters: str = ""
    top: bool = False
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class CountPair:
    """Mann-Whitney of two fuzzers on bugs triggered per repeat; A12 is the chance that x triggers more."""

    x: str
    y: str
    u: float | None = None
    a12: float | None = None
    effect: str = ""
    p: float | None = None
    adjusted: float | None = None
    exact: bool = False
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Bugs per repeat of all fuzzers on one target; on all targets together where `target` is empty."""

    target: str
    cells: tuple[Cell, ...]
    pairs: tuple[CountPair, ...]

    def cell(self, fuzzer: str) -> Cell | None:
        """Of one fuzzer, None if it did not run there."""
        return next((cell for cell in self.cells if cell.fuzzer == fuzzer), None)


@dataclass(frozen=True, kw_only=True)
class Target:
    """All figures of a target; `bugs` from easy to hard. `notes` are for people.

    `trials` are there of `expected` ones. Restricted means are up to `horizon` seconds.
    """

    name: str
    programs: tuple[str, ...]
    trials: int
    expected: int
    horizon: float
    counts: Counts
    bugs: tuple[Bug, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Sole:
    """A bug that one fuzzer alone triggered, over all trials that are there, or reached where none triggered it.

    `also_reached`: no other even reached it. `others` counted repeats of `others_expected` did not see it. `unsure`:
    which other fuzzers might have seen it, and why that is not known.
    """

    bug: Bug
    kind: Kind
    finder: Finder
    also_reached: bool
    others: int
    others_expected: int
    unsure: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that the page and its data say."""

    experiment: Experiment
    horizon: Horizon
    fuzzers: tuple[str, ...]
    targets: tuple[Target, ...]
    overall: Counts
    soles: tuple[Sole, ...]

    @property
    def complete(self) -> bool:
        """Whether no trial is missing, and none may be in a folder that could not be read."""
        return not (self.experiment.missing or self.experiment.unread)

    @property
    def bugs(self) -> tuple[Bug, ...]:
        """Those of all targets, from easy to hard."""
        return tuple(sorted((bug for target in self.targets for bug in target.bugs), key=lambda bug: bug.difficulty))
