"""What is written down in a WORKDIR of how its trials ran: their arguments, and the images that they ran in."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from magma_remote.errors import WireError
from magma_remote.model.asked import Asked
from magma_remote.model.jobs import Job
from magma_remote.model.pinned import PinnedImage, is_manifest
from magma_remote.runtime.workdir.asked import PROVENANCE, asked_of_folder, asked_of_ledger
from magma_remote.runtime.workdir.provenance_trial import read_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from magma_remote.model.experiment import Trial
    from magma_remote.model.layout import Workdir
    from magma_remote.ports import Ledger

Pair = tuple[str, str]

_RECIPE = re.compile(r"[A-Za-z0-9]{1,64}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Known:
    """Of one trial: `job` is None where its arguments are not known, `recipe` and `image` are empty then.

    `recipe` is the digest of what its image was made from, `image` the id that its engine had for it.
    """

    job: Job | None = None
    recipe: str = ""
    image: str = ""

    def or_else(self, other: Known) -> Known:
        """What this does not know, the other may."""
        return Known(job=self.job or other.job, recipe=self.recipe or other.recipe, image=self.image or other.image)


@dataclass(frozen=True, kw_only=True)
class Background:
    """Of a whole WORKDIR: `asked` has all trials that were asked for, as far as anybody wrote that down."""

    trials: Mapping[Trial, Known] = field(default_factory=dict)
    asked: Asked = Asked()  # noqa: RUF009 - frozen, hence safe to share
    pins: Mapping[Pair, PinnedImage] = field(default_factory=dict)

    def of(self, workdir: Workdir, trial: Trial) -> Known:
        """What its own record says, then the others."""
        return _recorded(workdir, trial).or_else(self.trials.get(trial, Known()))


def background(workdir: Workdir, ledger: Ledger | None) -> Background:
    """By the ledger, manifest.json and what quickrun left, where there are any; UsageError where one cannot be read."""
    asked = asked_of_ledger(workdir, ledger, {}) if ledger and ledger.campaign() else asked_of_folder(workdir)
    told = read_object(workdir.root / PROVENANCE)
    rows = _rows(told)
    found: dict[Trial, Known] = dict(_of_manifest(rows))
    pins = dict(_pins_of_manifest(told))
    if ledger is None:
        return Background(trials=found, asked=asked, pins=pins)
    pins |= {pin.image.pair: pin.image for pin in ledger.pins()}
    recipes = {pin.image.pair: pin.recipe for pin in ledger.pins()}
    for entry in ledger.jobs():
        job = entry.job
        trial = (job.fuzzer, job.target, job.program, job.repeat)
        known = Known(job=job, recipe=recipes.get(trial[:2], ""))
        found[trial] = replace(found.get(trial, Known()), job=job).or_else(known)
    return Background(trials=found, asked=asked, pins=pins)


def _rows(told: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows = told.get("trials")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _of_manifest(rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Trial, Known]]:
    for row in rows:
        with suppress(LookupError, TypeError, ValueError, WireError):
            job = _job({**{key: row[key] for key in _TEXTS}, "repeat": row["run"]})
            known = Known(job=job, recipe=_recipe(row.get("recipe")), image=_text(row.get("image")))
            yield (job.fuzzer, job.target, job.program, job.repeat), known


def _pins_of_manifest(told: Mapping[str, Any]) -> Iterator[tuple[Pair, PinnedImage]]:
    images = told.get("images")
    for name, facts in images.items() if isinstance(images, dict) else ():
        manifest = facts.get("manifest") if isinstance(facts, dict) else None
        fuzzer, _, target = str(name).partition("/")
        if isinstance(manifest, str) and is_manifest(manifest):
            yield (fuzzer, target), PinnedImage(fuzzer=fuzzer, target=target, manifest=manifest)


def _recorded(workdir: Workdir, trial: Trial) -> Known:
    """The record came with the trial, from whoever ran it: it is looked at as anything from elsewhere."""
    fuzzer, target, program, run = trial
    named = Job(repeat=run, fuzzer=fuzzer, target=target, program=program)
    try:
        record = read_object(workdir.record(named))
        job = _job(record["job"])
    except (OSError, LookupError, TypeError, ValueError, WireError):
        return Known()
    if (job.fuzzer, job.target, job.program, job.repeat) != trial:
        return Known()
    return Known(job=job, recipe=_recipe(record.get("digest")), image=_text(record.get("image")))


_TEXTS = ("fuzzer", "target", "program", "args", "fuzzargs")


def _job(facts: Mapping[str, Any]) -> Job:
    job = Job(repeat=facts["repeat"], **{key: facts[key] for key in _TEXTS})
    job.check()
    return job


def _recipe(value: object) -> str:
    return value if isinstance(value, str) and _RECIPE.fullmatch(value) else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
