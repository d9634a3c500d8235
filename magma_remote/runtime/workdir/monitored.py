"""Reads one entry of `ar/`, a tarball or a plain folder, whoever made it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from stat import S_ISREG
from typing import TYPE_CHECKING

from magma_remote.errors import CorruptError
from magma_remote.model.dumps import LARGEST, Dumps, is_stamp
from magma_remote.model.experiment import Missing, TrialResult
from magma_remote.model.layout import TARBALL
from magma_remote.model.machine import Machine
from magma_remote.model.outcome import Reason
from magma_remote.runtime.files import open_file, read_file
from magma_remote.runtime.workdir.tarball import read_tarball

if TYPE_CHECKING:
    from pathlib import Path

    from magma_remote.model.experiment import Trial
    from magma_remote.model.layout import Workdir

_LAUNCHED = b"Campaign launched at "


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What to read entries with: POLL and TIMEOUT in seconds, where they are known."""

    workdir: Workdir
    timeout: float | None
    poll: int | None

    def read(self, trial: Trial) -> TrialResult | Missing:
        """The trial that has its entry there; Missing with the reason where it cannot be read whole."""
        folder = self.workdir.ar.joinpath(*trial[:3], str(trial[3]))
        try:
            dumps, odd = _dumps(folder)
        except CorruptError as error:
            return missing(trial, Reason.CORRUPT, f"{folder / TARBALL}: {error}")
        except OSError as error:
            return missing(trial, Reason.CORRUPT, f"{error.filename or folder} cannot be read: {error.strerror}")
        if dumps is None:
            return missing(trial, Reason.NO_MONITOR, f"{folder} holds no folder `monitor`: it is no trial of Magma's")
        if not dumps.stamps and self._was_not_launched(trial):
            return missing(trial, Reason.NOT_LAUNCHED, "its log says that the fuzzer was never launched")
        return self._result(trial, dumps, odd)

    def _result(self, trial: Trial, dumps: Dumps, odd: tuple[str, ...]) -> TrialResult:
        reached, triggered, problems = dumps.findings()
        timing = dumps.timing(timeout=self.timeout, poll=self.poll)
        fuzzer, target, program, run = trial
        warned, machine, bases = self._recorded(trial)
        return TrialResult(
            fuzzer=fuzzer,
            target=target,
            program=program,
            run=run,
            reached=reached,
            triggered=triggered,
            polls=len(dumps.stamps),
            last_stamp=max(dumps.stamps, default=None),
            problems=(*odd, *problems, *timing, *warned),
            machine=machine,
            bases=bases,
        )

    def _was_not_launched(self, trial: Trial) -> bool:
        """Captain archives a trial whose seeds were all pruned as it does every other one; ours were judged."""
        log = self.workdir.logs / f"{'_'.join(map(str, trial))}_container.log"
        try:
            if self._record(trial).exists():
                return False
            with open_file(log) as lines:
                return not any(_LAUNCHED in line for line in lines)
        except OSError:
            return False  # nothing is known

    def _record(self, trial: Trial) -> Path:
        return self.workdir.records / f"{','.join(map(str, trial))}.json"

    def _recorded(self, trial: Trial) -> tuple[tuple[str, ...], Machine | None, tuple[str, ...]]:
        """What was told beside the trial when it ended, but for what its dumps tell too; where it ran, and on what."""
        try:
            record = json.loads(read_file(self._record(trial)))
            warned = tuple(str(text) for text in record["warnings"] if "no canary" not in text)
            return warned, Machine.from_record(record.get("machine")), tuple(map(str, record.get("bases") or ()))
        except (OSError, ValueError, LookupError, TypeError):
            return (), None, ()


def missing(trial: Trial, reason: Reason | str, message: str) -> Missing:
    """One of ours."""
    fuzzer, target, program, run = trial
    word = reason.value if isinstance(reason, Reason) else reason
    return Missing(fuzzer=fuzzer, target=target, program=program, run=run, reason=word, message=message)


def _dumps(folder: Path) -> tuple[Dumps | None, tuple[str, ...]]:
    """As exp2json: the tarball where there is one, else the folder's own `monitor`, which a link is not."""
    try:
        if S_ISREG((folder / TARBALL).stat().st_mode):
            return read_tarball(folder / TARBALL)
    except FileNotFoundError:
        pass
    monitor = folder / "monitor"
    own = monitor.is_dir() and not monitor.is_symlink()
    return (_read_folder(monitor), ()) if own else (None, ())


def _read_folder(monitor: Path) -> Dumps:
    dumps = Dumps()
    with os.scandir(monitor) as entries:
        for entry in entries:
            if entry.name == "tmp":
                continue
            if is_stamp(entry.name) and entry.is_file(follow_symlinks=False):
                with open(entry.path, "rb", buffering=0) as file:  # noqa: PTH123 - a trial may have 17,000 of them
                    dumps.add(int(entry.name), file.read(LARGEST))
            else:
                dumps.refuse(entry.name)
    return dumps
