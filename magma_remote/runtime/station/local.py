"""What a worker does on its machine, behind the `Station` port: all that takes time goes on in threads of its own.

All threads are daemons: a process that leaves waits for none of them. What they leave behind then (a build, whose
connection closes with the process, which ends it; a container; half a folder) the next start clears.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from magma_remote.errors import MagmaRemoteError
from magma_remote.model.container import WORKDIR_LABEL
from magma_remote.model.messages import Place
from magma_remote.model.outcome import Reason
from magma_remote.ports import Kept, Prepared, RunEnded
from magma_remote.runtime import preflight
from magma_remote.runtime.station.beside import News, beside
from magma_remote.runtime.station.folders import Folders
from magma_remote.runtime.station.health import Health
from magma_remote.runtime.station.keeping import Keeping
from magma_remote.runtime.station.run import Run
from magma_remote.runtime.station.settings import Machine
from magma_remote.runtime.station.setup import Preparation, clear_caches, is_same_setup
from magma_remote.runtime.storage import free_bytes
from magma_remote.runtime.trial.cache import LEAST_ROOM
from magma_remote.runtime.trial.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from magma_remote.model.messages import Broadcast
    from magma_remote.ports import Assignment
    from magma_remote.runtime.station.settings import StationOutside, StationSettings
    from magma_remote.runtime.station.setup import Setup

RELEASE_SECONDS = 2.0
"""How long `release` waits for a preparation to notice that it is not needed: one that cannot is left to its end."""

_RUNS_LOOK = 0.1

log = logging.getLogger(__name__)


class LocalStation:
    """A `Station`. WORKDIRS must be held by this process (`open_workdirs`) for as long as it lives.

    UsageError, StorageError or CpuError where the settings cannot be used on this machine. Making one moves all of
    this process to the housekeeping CPUs, or off the CPUs of other runs on this machine.
    """

    def __init__(self, settings: StationSettings, outside: StationOutside) -> None:
        cpus, allowed = outside.machine()
        self._settings = settings
        self._outside = outside
        self._machine = Machine(cpus=cpus, allowed=allowed, housekeeping=settings.housekeeping)
        self._folders = Folders(settings.workdirs, _place(settings))
        if settings.root:
            preflight.check_place(self._folders.common, settings.root, called="WORKDIRS")
        self._folders.open()
        self._lock = threading.Lock()
        self._news = News[Prepared | RunEnded]()
        self._runs: dict[str, Run] = {}
        self._setup: Setup | None = None
        self._watch: Watch | None = None
        self._left = threading.Event()
        self._preparation: Preparation | None = None
        self._lost_image = ""
        self._health = Health(settings.workdirs, outside.runner.check)
        self._machine.keep_off((), outside.guards)
        self._keeping = Keeping(self._folders, keep=settings.keep)
        self._setting_up = beside("clear", self._clear)

    def prepare(self, broadcast: Broadcast) -> None:
        """See `Station.prepare`: one that is under way is given up, and says so in news of its own."""
        self._cancel()
        before = self._setting_up
        preparation = Preparation(broadcast, self._settings, self._outside, self._machine, self._folders.common)
        self._preparation = preparation
        self._setting_up = beside("prepare", lambda: self._prepare(preparation, before))

    def serves(self, broadcast: Broadcast, before: Broadcast) -> bool:
        """See `Station.serves`."""
        return is_same_setup(broadcast, before, self._outside.read_document)

    def progress(self) -> str:
        """See `Station.progress`."""
        return self._preparation.progress if self._preparation else ""

    def obstacle(self) -> str:
        """See `Station.obstacle`."""
        running = sum(not run.over for run in self._runs.values())
        return self._lost_image or self._no_cache_room() or self._health.obstacle(running)

    def _no_cache_room(self) -> str:
        """Preparing has looked at it, too, but others write to /dev/shm as well."""
        setup = self._setup
        try:
            short = setup is not None and free_bytes(setup.cache.root) < LEAST_ROOM
        except OSError as error:
            return f"the cache of running trials cannot be used: {error}"
        return f"{setup.cache.root} has no room for another running trial: free some" if setup and short else ""

    def start(self, assignment: Assignment) -> None:
        """See `Station.start`."""
        try:
            with self._lock:
                setup = self._setup
                if setup is None or setup.config_id != assignment.config_id:
                    message = f"this worker is not set up for campaign {assignment.config_id}"
                    self._news.put(RunEnded(run=assignment.run, reason=Reason.CONFIG, message=message))
                    return
                run = Run(assignment, setup, self._folders, self._settings, self._outside.runner)
                self._runs[assignment.run] = run
            beside(assignment.run, lambda: self._work(run))
        except RuntimeError as error:  # no further thread
            with self._lock:
                self._runs.pop(assignment.run, None)
            self._news.put(RunEnded(run=assignment.run, reason=Reason.INTERNAL, message=str(error)))

    def stop(self, run: str) -> None:
        """See `Station.stop`: an engine that hangs keeps only a thread of this call's own waiting."""
        if (found := self._runs.get(run)) and not found.over:
            beside(f"stop {run}", found.stop)

    def status(self, run: str) -> tuple[str, float, tuple[str, ...]]:
        """See `Station.status`; the bugs are those of the last look at its monitor."""
        found, watch = self._runs.get(run), self._watch
        if found is None:
            return "ended", 0.0, ()
        bugs = watch.bugs(found.trial).triggered if watch and found.trial else ()
        return *found.phase(), tuple(sorted(bugs))

    def news(self) -> list[Prepared | RunEnded]:
        """See `Station.news`."""
        news = self._news.take()
        with self._lock:
            for item in news:
                if isinstance(item, RunEnded):
                    self._runs.pop(item.run, None)
        return news

    def wait(self, seconds: float) -> None:
        """See `Station.wait`."""
        self._news.wait(seconds)

    def kept(self) -> tuple[Kept, ...]:
        """See `Station.kept`."""
        return self._keeping.all()

    def forget(self, run: str) -> None:
        """See `Station.forget`."""
        self._keeping.forget(run)

    def release(self) -> None:
        """See `Station.release`; it waits a moment for a preparation that is under way. Nothing the second time."""
        if self._cancel():
            self._setting_up.join(RELEASE_SECONDS)
        self._leave()

    def _cancel(self) -> bool:
        """Whether a preparation was under way that is not needed any more."""
        preparation = self._preparation
        if preparation is None or preparation.cancelled or not self._setting_up.is_alive():
            return False
        preparation.cancel()
        return True

    def _clear(self) -> None:
        """What a killed worker left in these WORKDIRS: nobody else can have a part in it."""
        try:
            for owned in self._outside.runner.owned(WORKDIR_LABEL):
                if owned.labels[WORKDIR_LABEL].startswith(f"{self._settings.workdirs}/"):
                    self._outside.runner.remove(owned.id)
                    log.info("removed container %s, left by a worker that died", owned.id[:12])
        except MagmaRemoteError as error:
            log.warning("containers of an earlier start may be left: %s", error)
        clear_caches(self._folders.common)
        if not self._settings.keep:
            self._folders.reap()

    def _prepare(self, preparation: Preparation, before: threading.Thread) -> None:
        before.join()
        while not preparation.cancelled and (left := sum(not run.over for run in list(self._runs.values()))):
            preparation.progress = f"waiting for {left} runs to end"
            time.sleep(_RUNS_LOOK)
        self._leave()
        prepared, setup = preparation.run()
        with self._lock:
            if setup and preparation.cancelled:
                prepared = Prepared(config_id=prepared.config_id, unfit="given up: it is not needed any more")
            elif setup:
                self._setup, self._watch, self._left = setup, Watch(setup.campaign), threading.Event()
                beside("watch", self._look_after(self._watch, self._left))
                setup = None
        if setup:
            setup.close()
        self._lost_image = ""
        self._news.put(prepared)

    def _look_after(self, watch: Watch, left: threading.Event) -> Callable[[], None]:
        def look() -> None:
            while not left.wait(watch.tick):
                running = [run.trial for run in list(self._runs.values()) if run.trial and not run.over]
                try:
                    watch.look(running)
                except Exception:
                    log.exception("looking after the running trials failed")

        return look

    def _work(self, run: Run) -> None:
        ended = RunEnded(
            run=run.assignment.run, reason=Reason.INTERNAL, message="a defect of this program: see its log"
        )
        try:
            ended = run.execute()
            self._lost_image = run.lost_image or self._lost_image
            if ended.reason is Reason.ENGINE:
                self._health.doubt(ended.message)
            if ended.reason is None:
                self._keeping.add(Kept(assignment=run.assignment, ended=ended))
        finally:
            run.over = True
            self._news.put(ended)

    def _leave(self) -> None:
        with self._lock:
            setup, self._setup = self._setup, None
            self._left.set()
        if setup:
            setup.close()


def _place(settings: StationSettings) -> Place:
    return Place(
        folder="",
        workdirs=str(settings.workdirs),
        token=settings.worker,
        host=settings.host,
        port=settings.ssh_port,
        user=settings.ssh_user,
        cpus=settings.housekeeping,
    )
