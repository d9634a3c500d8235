"""One trial from its container to its entry in `ar/`."""

from __future__ import annotations

import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from magma_remote.errors import EngineError, StoppedError, StorageError
from magma_remote.model import container
from magma_remote.model.outcome import Kill, Observation, Reason, judge
from magma_remote.model.result import Phase, Result
from magma_remote.runtime.affinity import stay_on
from magma_remote.runtime.files import write_json
from magma_remote.runtime.patience import patiently
from magma_remote.runtime.storage import is_no_room
from magma_remote.runtime.trial import monitor
from magma_remote.runtime.trial.archive import publish
from magma_remote.runtime.trial.cache import Shared
from magma_remote.runtime.trial.contained import Contained
from magma_remote.runtime.trial.extract import extract
from magma_remote.runtime.trial.output import Output, await_launch, save_output

if TYPE_CHECKING:
    from pathlib import Path

    from magma_remote.model.campaign import Campaign
    from magma_remote.model.cpus import CpuSet
    from magma_remote.model.jobs import Job
    from magma_remote.model.layout import Workdir
    from magma_remote.ports import Runner
    from magma_remote.runtime.images.images import Image
    from magma_remote.runtime.trial.cache import Cache

LAUNCH_SECONDS = 3600.0  # seed pruning runs each seed for up to 0.1 s; the largest corpora have thousands
_READINGS = 3
OVERRUN_SECONDS = 60.0  # a fuzzer may write its state when `timeout` ends it


@dataclass(frozen=True, kw_only=True)
class Site:
    """What trials share. `overrun` is how long after TIMEOUT a fuzzer may still end by itself.

    `run` names this one execution where another one of the same job may have its cache beside it. With `keeps` the
    files of a complete trial that cannot be archived wait in the cache for a later run; else they are given up.
    """

    campaign: Campaign
    campaign_id: str
    workdir: Workdir
    cache: Cache
    runner: Runner
    run: str = ""
    keeps: bool = True
    launch_limit: float = LAUNCH_SECONDS
    overrun: float = OVERRUN_SECONDS


class Trial:
    """Runs in a thread of its own, which it pins; `stop` and `enforce` are for another."""

    def __init__(self, site: Site, job: Job, cpus: CpuSet, image: Image) -> None:
        self.job = job
        self.cpus = cpus
        self.phase = Phase.STARTING
        self.phase_since = time.monotonic()
        self._site = site
        self._image = image
        self._cache = Shared(site.cache.trial(job, site.run))
        self._contained = Contained(site.runner)
        self._clock_step = 0.0

    @property
    def shared(self) -> Path:
        """The host's side of /magma_shared."""
        return self._cache.path

    def run(self) -> Result:
        """Run to the end. What goes wrong becomes the Result; container and cache are gone afterwards."""
        facts = Result(
            job=self.job,
            reason=None,
            cpus=self.cpus,
            image=self._image.id,
            digest=self._image.digest,
            started_at=time.time(),
        )
        try:
            facts = self._told(facts)
            result = self._fuzz(facts)
            if result.complete:
                result = self._keep(result)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this trial's alone and must not end others
            said = traceback.format_exception(error)
            result = replace(
                facts, reason=Reason.INTERNAL, message=f"a defect of this program: {error!r}", tail=tuple(said)
            )
        result = replace(result, warnings=(*result.warnings, *self._contained.problems))
        if not self._cache.complete.exists():
            self._cache.remove()
        return self._record(result)

    def _told(self, facts: Result) -> Result:
        """With what the engine says; where it does not, the container's start will tell what is wrong with it."""
        with suppress(EngineError):
            facts = replace(facts, machine=self._site.runner.machine())
        with suppress(EngineError):
            facts = replace(facts, bases=self._site.runner.bases(self._image.id))
        return facts

    def stop(self) -> None:
        """End it now: what was not complete by then is a failure."""
        self._contained.kill(Kill.STOPPED)

    def enforce(self) -> None:
        """End a container that takes longer than it may; look whether its cache has room."""
        if self.phase is Phase.FUZZING:
            self._cache.look()
        limits = {
            Phase.PRUNING: (self._site.launch_limit, Kill.NOT_LAUNCHED_IN_TIME),
            Phase.FUZZING: (self._site.campaign.timeout.seconds + self._site.overrun, Kill.OVERRAN),
        }
        limit, why = limits.get(self.phase, (None, Kill.STOPPED))
        if limit is not None and time.monotonic() - self.phase_since > limit:
            self._contained.kill(why)

    def _record(self, result: Result) -> Result:
        try:
            write_json(self._site.workdir.record(self.job), result.to_record())
        except StorageError as error:
            return replace(result, warnings=(*result.warnings, str(error)))
        return result

    def _enter(self, phase: Phase) -> None:
        self.phase, self.phase_since = phase, time.monotonic()

    def _fuzz(self, facts: Result) -> Result:
        """Run the container and judge it; SHARED is left for the archive."""
        try:
            self._cache.make()
            return self._judge(facts, self._contain())
        except StoppedError as error:
            return replace(facts, reason=Reason.INTERRUPTED, message=str(error))
        except EngineError as error:
            reason = Reason.INTERRUPTED if self._contained.stopped else Reason.ENGINE
            return replace(facts, reason=reason, message=str(error))
        except OSError as error:
            return replace(facts, reason=Reason.CACHE, message=f"{error.filename}: {error.strerror}")

    def _contain(self) -> Output:
        runner = self._site.runner
        with self._contained.container(self._spec()) as running:
            self._enter(Phase.PRUNING)
            with runner.lines(running, follow=True) as lines:
                if await_launch(lines):
                    self._enter(Phase.FUZZING)
            clock = _clock()
            self._contained.wait(running)
            self._clock_step = _clock() - clock  # between the two lines that the trial is judged by, and nowhere else
            stay_on(self.cpus)  # still ours: reading, archiving and extracting are felt by nobody
            self._enter(Phase.ARCHIVING)
            return patiently(lambda: self._read_output(running))

    def _read_output(self, running: str) -> Output:
        """The SDK takes a connection that breaks for the end: a log without its last line is read again."""
        for _ in range(_READINGS):
            with self._site.runner.lines(running, follow=False) as lines:
                output = save_output(lines, self._site.workdir.container_log(self.job))
            if output.terminated_at is not None or self._contained.killed:
                break
        return output

    def _spec(self, command: tuple[str, ...] | None = None) -> container.ContainerSpec:
        site = self._site
        return container.ContainerSpec(
            image=self._image.id,
            shared=self.shared,
            cpus=self.cpus,
            environment=container.environment(self.job, site.campaign, self.cpus),
            labels=container.labels(self.job, workdir=site.workdir.root, campaign_id=site.campaign_id, cpus=self.cpus),
            command=command,
        )

    def _judge(self, facts: Result, output: Output) -> Result:
        self._cache.look()
        if self._cache.lost:
            return replace(facts, reason=Reason.CACHE, message=self._cache.lost, tail=output.tail)
        stamps = monitor.stamps(self.shared)
        verdict = judge(
            Observation(
                timeout=self._site.campaign.timeout.seconds,
                poll=self._site.campaign.poll,
                launched_at=output.launched_at,
                terminated_at=output.terminated_at,
                killed=self._contained.killed,
                clock_step=self._clock_step,
                monitored=monitor.is_monitored(self.shared),
                last_stamp=stamps[-1] if stamps else None,
                cache_full=self._cache.was_full,
            )
        )
        return replace(
            facts,
            reason=verdict.reason,
            message=verdict.message,
            warnings=(*verdict.warnings, *output.problems),
            tail=output.tail,
            bugs=monitor.bugs(self.shared),
            launched_at=output.launched_at,
            terminated_at=output.terminated_at,
        )

    def _keep(self, result: Result) -> Result:
        """Archive a complete trial, then extract; its record stands in the cache until the archive does."""
        try:
            if self._site.keeps:
                write_json(self._cache.complete, result.to_record())
        except StorageError as error:
            return replace(result, reason=Reason.CACHE_FULL, message=f"{error}: its files are lost")
        try:
            write_json(self._site.workdir.record(self.job), result.to_record())
            publish(self.shared, self._site.workdir, self.job, plain=self._site.campaign.no_archive)
        except StorageError as error:
            return self._unarchived(result, error)
        self._cache.complete.unlink(missing_ok=True)
        return self._extract(result) if self._site.campaign.poc_extract else result

    def _unarchived(self, result: Result, error: StorageError) -> Result:
        if self._site.keeps:
            kept = f"its files are kept in {self.shared}: make room, and run again to archive them"
            return replace(result, reason=Reason.ARCHIVE, message=f"{error}; {kept}")
        reason = Reason.DISK if is_no_room(error) else Reason.ARCHIVE
        return replace(result, reason=reason, message=f"{error}: its files are given up")

    def _extract(self, result: Result) -> Result:
        self._enter(Phase.EXTRACTING)
        try:
            with self._contained.container(self._spec(("sleep", "infinity"))) as running:
                found = extract(self._site.runner, running, self.shared, self._site.workdir.pocs, self.job)
        except Exception as error:  # noqa: BLE001 - the trial is in ar/ by now: nothing may make it look missing
            again = "`magma-remote extract` does it from the merged results"
            return replace(result, warnings=(*result.warnings, f"PoC extraction failed: {error}; {again}"))
        return replace(result, pocs=found.new, warnings=(*result.warnings, *found.problems))


def _clock() -> float:
    """What the wall clock says beyond one that nobody sets: it changes when the clock is set or the machine sleeps."""
    return time.time() - time.monotonic()
