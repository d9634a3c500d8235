"""Whether one trial's files are those that its manifest lists, and the manifest the one that its worker told of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from magma_remote.errors import MagmaRemoteError
from magma_remote.model.layout import Workdir, trial_key
from magma_remote.model.manifest import Entry, Kind, Manifest, read
from magma_remote.model.verdict import Fault, Wrong
from magma_remote.runtime.files import read_file
from magma_remote.runtime.verifying.facts import of_done
from magma_remote.runtime.workdir.asked import PROVENANCE
from magma_remote.runtime.workdir.entering import EXECUTIONS, MANIFESTS, execution_path, manifest_path
from magma_remote.runtime.workdir.manifest import scan_below
from magma_remote.runtime.workdir.provenance_trial import digest_of, read_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from magma_remote.model.jobs import Job

FLAT = ("log", "poc", "trials")
LINKED = "it is a link, and was a folder"


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A trial that was asked for; `done` if a result of it was merged, else `why` says what became of it.

    `manifests` are the digests of its manifest, by who names it; `execution` the run whose result it is, empty where
    that is not known. `execution_sha256` and `files` are what manifest.json says, `line` is all that it tells of the
    trial, and `told` what the ledger does, None without one.
    """

    job: Job
    done: bool
    why: str = ""
    manifests: Mapping[str, str] = field(default_factory=dict)
    execution: str = ""
    execution_sha256: str | None = None
    files: Mapping[str, str] | None = None
    line: Mapping[str, Any] | None = None
    told: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Checked:
    """`flat` are the files in log/, poc/ and trials/ that the trial's manifest lists: others may list them too.

    `modes` counts files and folders in `ar/` that are as they were but for their mode.
    """

    wrongs: tuple[Wrong, ...]
    flat: tuple[Entry, ...] = ()
    files: int = 0
    bytes: int = 0
    modes: int = 0


@dataclass(frozen=True)
class TrialCheck:
    """Checks trials of one WORKDIR; it may be pickled."""

    workdir: Workdir

    def __call__(self, expected: Expected) -> Checked:
        """All that is wrong with a trial, but for files that it shares with others."""
        entry = self._entry(expected.job)
        if not expected.done:
            return Checked(wrongs=(Wrong(fault=Fault.MISSING, path=entry, message=expected.why),))
        wrongs = list(self._execution(expected))
        manifest, problems = self._manifest(expected)
        wrongs += problems
        if manifest is None:
            return Checked(wrongs=(*wrongs, *self._standing(entry)))
        if not wrongs:
            wrongs += self._line(expected, manifest)
        inside = [found for found in manifest.entries if found.path.startswith(f"{entry}/")]
        seen: list[Entry] = []
        wrongs += self._contents(entry, inside, seen)
        flat = tuple(e for e in manifest.entries if e.kind is Kind.FILE and e.path.partition("/")[0] in FLAT)
        files = [found for found in seen if found.kind is Kind.FILE]
        return Checked(
            wrongs=tuple(wrongs),
            flat=flat,
            files=len(files),
            bytes=sum(found.size for found in files),
            modes=_other_modes(seen, inside),
        )

    def _entry(self, job: Job) -> str:
        return self.workdir.entry(job).relative_to(self.workdir.root).as_posix()

    def _execution(self, expected: Expected) -> Iterator[Wrong]:
        """Who ran it, where anybody knows better."""
        path, name = execution_path(self.workdir, expected.job), f"{EXECUTIONS}/{trial_key(expected.job)}.json"
        if not expected.execution and expected.execution_sha256 is None:
            return
        try:
            sha256 = digest_of(path)
        except FileNotFoundError:
            yield Wrong(fault=Fault.MISSING, path=name, message="it says who ran the trial")
            return
        except OSError as error:
            yield unreadable(name, error)
            return
        run = read_object(path).get("run")
        if expected.execution_sha256 not in {None, sha256}:
            yield Wrong(fault=Fault.ALTERED, path=name, message="it is not the one that manifest.json tells of")
        elif expected.execution and run != expected.execution:
            yield Wrong(fault=Fault.ALTERED, path=name, message=f"it tells of another run than {expected.execution}")

    def _line(self, expected: Expected, manifest: Manifest) -> Iterator[Wrong]:
        """What manifest.json tells otherwise than the ledger and the trial's record, where that is as it was."""
        record = f"trials/{trial_key(expected.job)}.json"
        listed = [entry.sha256 for entry in manifest.entries if entry.path == record]
        try:
            if expected.line is None or listed != [digest_of(self.workdir.root / record)]:
                return
            for message in of_done(self.workdir, expected.job, expected.line, expected.told):
                yield Wrong(fault=Fault.ALTERED, path=PROVENANCE, message=message)
        except OSError:
            return  # it is named where all files of its folder are compared

    def _manifest(self, expected: Expected) -> tuple[Manifest | None, list[Wrong]]:
        name = f"{MANIFESTS}/{trial_key(expected.job)}.json"
        try:
            data = read_file(manifest_path(self.workdir, expected.job))
        except FileNotFoundError:
            message = "without it nobody can tell whether the trial's files are as they were written"
            return None, [Wrong(fault=Fault.MISSING, path=name, message=message)]
        except OSError as error:
            return None, [unreadable(name, error)]
        sha256 = hashlib.sha256(data).hexdigest()
        others = [who for who, known in expected.manifests.items() if known != sha256]
        wrongs = [
            Wrong(fault=Fault.ALTERED, path=name, message=f"it is not the one that {who} tells of") for who in others
        ]
        if not expected.manifests:
            message = "neither a ledger nor manifest.json says which one it is"
            wrongs.append(Wrong(fault=Fault.UNPROVEN, path=name, message=message))
        try:
            manifest = read(data)
        except MagmaRemoteError as error:
            return None, [*wrongs, Wrong(fault=Fault.ALTERED, path=name, message=str(error))]
        files = {entry.path: entry.sha256 for entry in manifest.entries if entry.kind is Kind.FILE}
        if expected.files is not None and expected.files != files:
            message = f"its digests of {trial_key(expected.job)} are not those of {name}"
            wrongs.append(Wrong(fault=Fault.ALTERED, path=PROVENANCE, message=message))
        return manifest, wrongs

    def _standing(self, entry: str) -> Iterator[Wrong]:
        try:
            if (self.workdir.root / entry).is_symlink():
                yield Wrong(fault=Fault.ALTERED, path=entry, message=LINKED)
            elif not (self.workdir.root / entry).is_dir():
                yield Wrong(fault=Fault.MISSING, path=entry)
        except OSError as error:
            yield unreadable(entry, error)

    def _contents(self, entry: str, listed: Iterable[Entry], seen: list[Entry]) -> Iterator[Wrong]:
        """What differs in the trial's folder; all that stands there is added to `seen`."""
        folder = self.workdir.root / entry
        if wrong := list(self._standing(entry)):
            yield from wrong
            return
        odd: dict[str, OSError | None] = {}
        try:
            seen += scan_below(folder, entry, odd)
        except OSError as error:
            yield unreadable(entry, error)
            return
        closed = {path: error for path, error in odd.items() if error}
        here, there = {found.path: found for found in seen}, {one.path: one for one in listed}
        gone = (path for path in there if path not in here and not _is_within(path, closed))
        yield from (Wrong(fault=Fault.MISSING, path=path) for path in gone)
        yield from (Wrong(fault=Fault.EXTRA, path=path) for path in here if path not in there)
        for path, found in odd.items():
            message = "it is no file, folder or link"
            yield unreadable(path, found) if found else Wrong(fault=Fault.EXTRA, path=path, message=message)
        for path, one in there.items():
            if path in here and (what := difference(here[path], one)):
                yield Wrong(fault=Fault.ALTERED, path=path, message=what)


def _is_within(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def unreadable(path: str, error: OSError) -> Wrong:
    """What cannot be compared, and why."""
    return Wrong(fault=Fault.ALTERED, path=path, message=f"it cannot be read: {error.strerror or error}")


def difference(found: Entry, listed: Entry) -> str:
    """In what two entries differ, for people; empty where they do not, whatever their modes.

    A mode is whose umask a copy went through, and not what a trial wrote.
    """
    if found.kind is not listed.kind:
        return f"it is a {found.kind.value}, and was a {listed.kind.value}"
    if found.target != listed.target:
        return "it leads elsewhere"
    if found.size != listed.size:
        return f"it has {found.size} bytes, and had {listed.size}"
    if found.sha256 != listed.sha256:
        return "its content is another"
    return ""


def _other_modes(seen: Iterable[Entry], listed: Iterable[Entry]) -> int:
    modes = {one.path: one.mode for one in listed}
    return sum(modes.get(one.path, one.mode) != one.mode for one in seen)
