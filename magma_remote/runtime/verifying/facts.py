"""Whether manifest.json tells what the ledger, origin.json and the trials' files tell: that it is whole is not enough.

Each difference is a sentence for people.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from magma_remote.errors import ConfigError
from magma_remote.model.document import LONGEST_SHOWN, show
from magma_remote.model.layout import trial_key
from magma_remote.model.outcome import Reason
from magma_remote.runtime.workdir.entering import execution_path
from magma_remote.runtime.workdir.provenance import images_of, members_of
from magma_remote.runtime.workdir.provenance_trial import read_object, trial_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from magma_remote.model.jobs import Job
    from magma_remote.model.layout import Workdir
    from magma_remote.model.told import Told
    from magma_remote.ports import Ledger

    Settings = Callable[[str], Mapping[str, object]]

_OF_THE_FILE = {"version", "written_at", "written_with"}
_OPENED = {"campaign", "magma", "versions"}  # their members are held one by one
_NEW = {"later", "editions", "bases", "machine"}  # older releases did not tell these
_SPARING = ("OVERRIDDEN_TARGETS", "PROGRAMS")  # a fuzzer may have no trial at all by these
_BY_DIGEST = {"manifest_sha256", "execution_sha256", "files"}  # held where they are compared with the files


def of_campaign(told: Told, workdir: Workdir, ledger: Ledger, settings: Mapping[str, object]) -> Iterator[str]:
    """What it tells of a campaign that is over otherwise than its ledger, its file's `settings` and origin.json."""
    now = members_of(workdir, ledger, settings)
    if told.campaign.text != now["campaign"]["text"]:
        return  # it was extended just now, and is about to be told anew
    if not settings:
        del now["campaign"]["settings"]
    for name, value in now.items():
        if name not in _OF_THE_FILE:
            yield from _differences(name, told.members.get(name), value)
    pins = {f"{pin.image.fuzzer}/{pin.image.target}": pin.image.manifest for pin in ledger.pins()}
    yield from _differences("images", told.members.get("images"), images_of(told.members["trials"], pins))


def alone(told: Told, settings: Mapping[str, object]) -> Iterator[str]:
    """Where it contradicts itself; its campaign file, which has these `settings`, has a digest of its own."""
    images = told.members.get("images")
    known = images if isinstance(images, dict) else {}
    told_pins = {pair: facts.get("manifest") for pair, facts in known.items() if isinstance(facts, dict)}
    pins = {pair: manifest for pair, manifest in told_pins.items() if isinstance(manifest, str)}
    yield from _differences("images", images, images_of(told.members["trials"], pins))
    if settings:
        yield from _differences("campaign.settings", told.members["campaign"].get("settings"), settings)
        yield from _unlisted(told, settings)


def _unlisted(told: Told, settings: Mapping[str, object]) -> Iterator[str]:
    runs: dict[tuple[str, str, str], set[int]] = {}
    for trial in told.trials:
        runs.setdefault((trial.fuzzer, trial.target, trial.program), set()).add(trial.run)
    repeat, fuzzers = settings.get("REPEAT"), settings.get("FUZZERS")
    for kind, there in runs.items():
        lacking = sorted(set(range(repeat)) - there) if type(repeat) is int else ()
        yield from (f"it does not tell of {','.join(kind)},{run}, which REPEAT asks for" for run in lacking)
    if any(key in settings for key in _SPARING) or settings.get("TARGETS") == []:
        return
    for fuzzer in fuzzers if isinstance(fuzzers, list) else ():
        if isinstance(fuzzer, str) and all(kind[0] != fuzzer for kind in runs):
            yield f"it tells of no trial of {show(fuzzer)}, which FUZZERS asks for"


def twice(told: Told) -> Iterator[str]:
    """Trials that it lists more than once."""
    for key, count in Counter(trial_key(trial.job) for trial in told.trials).items():
        if count > 1:
            yield f"it tells of {key} {count} times"


def settings_in(text: str, settings: Settings | None) -> Mapping[str, object]:
    """Those of a campaign file; none where nobody can read them."""
    try:
        return settings(text) if settings else {}
    except ConfigError:
        return {}


def of_undone(workdir: Workdir, job: Job, line: Mapping[str, Any], told: Mapping[str, Any]) -> Iterator[str]:
    """What a line tells of a trial without a result otherwise than the ledger.

    A trial that was dropped since is no difference: manifest.json is not written then.
    """
    if line.get("state") == told["state"] and told["reason"] != Reason.DROPPED.value:
        yield from _of_line(job, line, trial_facts(workdir, job, told, done=False))


def of_done(workdir: Workdir, job: Job, line: Mapping[str, Any], told: Mapping[str, Any] | None) -> Iterator[str]:
    """What a line tells of a complete trial otherwise than the ledger (None without one) and its files.

    These are as they were written; OSError where one cannot be read.
    """
    if told is None:
        told = {**line, "run": line.get("execution")}
        if read_object(execution_path(workdir, job)):  # it knows these, and of a quickrun nobody else does
            told |= {"run": None, "worker": None, "host": None}
    yield from _of_line(job, line, trial_facts(workdir, job, told, done=True))


def _of_line(job: Job, line: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name, value in now.items():
        if name not in _BY_DIGEST and (name in line or name not in _NEW):
            yield from _differences(f"{name} of {trial_key(job)}", line.get(name), value)


def _differences(name: str, told: Any, now: Any) -> Iterator[str]:
    now = json.loads(json.dumps(now))
    if name in _OPENED and isinstance(told, dict):
        for key, value in now.items():
            if key in told or key not in _NEW:
                yield from _differences(f"{name}.{key}", told.get(key), value)
    elif told != now:
        yield f"its {name} is {_shown(told)}, and should be {_shown(now)}"


def _shown(value: Any) -> str:
    """JSON text, which has no other characters than printable ones."""
    text = json.dumps(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."
