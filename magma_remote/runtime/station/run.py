"""One execution of a job on a worker: from its folder to a result that can be fetched, or to why there is none."""

from __future__ import annotations

import logging
import shutil
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

from magma_remote.errors import BuildError, CorruptError, EngineError, StorageError
from magma_remote.model.messages import shortened
from magma_remote.model.outcome import Reason
from magma_remote.ports import Kept, RunEnded
from magma_remote.runtime.files import discard_tree
from magma_remote.runtime.images.images import Image
from magma_remote.runtime.storage import is_no_room, storage_errors
from magma_remote.runtime.trial.trial import Site, Trial
from magma_remote.runtime.workdir.manifest import write_manifest

if TYPE_CHECKING:
    from magma_remote.model.result import Phase, Result
    from magma_remote.ports import Assignment, Runner
    from magma_remote.runtime.station.folders import Folders
    from magma_remote.runtime.station.settings import StationSettings
    from magma_remote.runtime.station.setup import Setup

log = logging.getLogger(__name__)


class Run:
    """`execute` is for a thread of its own, which it pins to the run's CPUs; `stop` for another that may wait.

    `trial` is None where there is no image to run.
    """

    def __init__(
        self, assignment: Assignment, setup: Setup, folders: Folders, settings: StationSettings, runner: Runner
    ) -> None:
        self.assignment = assignment
        self.over = False
        self.lost_image = ""
        self._job = assignment.job
        self._folders = folders
        self._settings = settings
        self._runner = runner
        self._workdir = folders.workdir(assignment.config_id, assignment.run)
        self._build_log = folders.common.build_log(self._job.fuzzer, self._job.target, settings.host)
        self._began = time.time()
        self._image = setup.images.get((self._job.fuzzer, self._job.target))
        self.trial = self._trial(setup, self._image) if isinstance(self._image, Image) else None
        self._phase: tuple[Phase | None, float] = (None, self._began)

    def _trial(self, setup: Setup, image: Image) -> Trial:
        site = Site(
            campaign=setup.campaign,
            campaign_id=self.assignment.config_id,
            workdir=self._workdir,
            cache=setup.cache,
            runner=self._runner,
            run=self.assignment.run,
            keeps=False,
        )
        return Trial(site, self._job, self.assignment.cpus, image)

    def stop(self) -> None:
        """End it: what is not complete by then is none. It may wait for the engine."""
        if self.trial:
            self.trial.stop()

    def phase(self) -> tuple[str, float]:
        """The trial's phase and when it began, in seconds since the epoch: the same number for all of a phase."""
        if self.trial is None:
            return "ending", self._began
        phase = self.trial.phase
        if phase is not self._phase[0]:
            self._phase = (phase, time.time() - (time.monotonic() - self.trial.phase_since))
        return phase.value, self._phase[1]

    def execute(self) -> RunEnded:
        """Run it to its end, whatever that is; a complete one is marked, what failed is cleared."""
        try:
            with storage_errors("see that WORKDIRS can be used"):
                return self._execute()
        except (StorageError, CorruptError) as error:
            return self._fail(Reason.DISK if is_no_room(error) else Reason.ARCHIVE, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this run's alone and must not end others
            said = tuple(traceback.format_exception(error))
            return self._fail(Reason.INTERNAL, f"a defect of this program: {error!r}", said)

    def _execute(self) -> RunEnded:
        if self.trial is None:
            return self._unbuilt()
        for folder in self._workdir.folders:
            folder.mkdir(parents=True)
        result = self.trial.run()
        if result.reason:
            return self._fail(result.reason, result.message, result.tail)
        return self._deliver(result)

    def _unbuilt(self) -> RunEnded:
        run, pair = self.assignment.run, f"{self._job.fuzzer}/{self._job.target}"
        if not isinstance(self._image, BuildError):
            message = f"this worker was not set up for {pair}: it is none of its campaign's that it can run"
            return RunEnded(run=run, reason=Reason.UNABLE, message=message, started_at=self._began)
        return RunEnded(
            run=run,
            reason=Reason.IMAGE,
            message=str(self._image),
            tail=shortened(self._image.log_tail),
            log=str(self._build_log),
            started_at=self._began,
        )

    def _deliver(self, result: Result) -> RunEnded:
        """Make the folder fit to be fetched, on the trial's CPUs still, and mark it."""
        with suppress(FileNotFoundError):  # a person tidied the logs up
            shutil.copyfile(self._build_log, self._workdir.logs / self._build_log.name)
        discard_tree(self._workdir.staging)
        ended = RunEnded(
            run=self.assignment.run,
            reason=None,
            message="; ".join(("complete", *result.warnings)),
            place=self._folders.place(self.assignment.config_id, self.assignment.run),
            manifest=write_manifest(self._workdir.root),
            started_at=result.started_at or self._began,
            reached=tuple(sorted(result.bugs.reached)),
            triggered=tuple(sorted(result.bugs.triggered)),
        )
        self._folders.mark(Kept(assignment=self.assignment, ended=ended))
        return ended

    def _fail(self, reason: Reason, message: str, tail: tuple[str, ...] = ()) -> RunEnded:
        if reason is Reason.ENGINE and self._image_is_gone():
            reason, message = Reason.IMAGE, self.lost_image
        found = self._workdir.container_log(self._job)
        path = str(found) if found.is_file() else ""
        if not self._settings.keep:
            path = self._folders.save_log(self.assignment)
            self._folders.remove(self.assignment.config_id, self.assignment.run)
        return RunEnded(
            run=self.assignment.run,
            reason=reason,
            message=message,
            tail=shortened(tail),
            log=path,
            started_at=self._began,
        )

    def _image_is_gone(self) -> bool:
        """Whether somebody removed the image under us: the engine is well then, and no other trial of it will run."""
        if not isinstance(self._image, Image):
            return False
        with suppress(EngineError):
            if self._runner.image_id(self._image.id) is None:
                pair = f"{self._job.fuzzer}/{self._job.target}"
                self.lost_image = f"the image of {pair} was removed since it was built: restart this worker"
        return bool(self.lost_image)
