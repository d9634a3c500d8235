"""PoC extraction: what the container says, however it is cut, becomes files named by bug and content."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_remote.adapters.memory_container import Script
from magma_remote.adapters.memory_runner import MemoryRunner
from magma_remote.errors import EngineError, StorageError
from magma_remote.model.container import ContainerSpec
from magma_remote.model.jobs import Job
from magma_remote.model.pocs import bug_of
from magma_remote.runtime.trial.extract import _pairs, extract

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from magma_remote.model.layout import Workdir
    from tests.support.memory.quickrun import Lab

JOB = Job(repeat=0, fuzzer="afl", target="libpng", program="readpng")
_FIELD = st.binary(max_size=8).map(lambda data: data.replace(b"\0", b"."))


def hashed(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:8]


@given(st.lists(st.tuples(_FIELD, _FIELD), max_size=4), _FIELD, st.lists(st.integers(0, 80), max_size=8))
def test_pairs_under_any_chunking(pairs: list[tuple[bytes, bytes]], rest: bytes, cuts: list[int]) -> None:
    stream = b"".join(b"%b\0%b\0" % pair for pair in pairs) + rest
    ends = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    chunks = [stream[start:end] for start, end in pairwise(ends)]
    found = list(_pairs(chunks))
    assert [file.encode(errors="surrogateescape") for file, _ in found] == [file for file, _ in pairs]
    assert [said for _, said in found] == [said.decode(errors="replace") for _, said in pairs]


@pytest.mark.parametrize(
    ("said", "bug"),
    [
        ("exit_code 1 bug PNG001", "PNG001"),
        ("exit_code 139", "NEW"),
        ("", "NEW"),
        ("exit_code 1 bug", "NEW"),
        ("noise\nexit_code 0 bug TIF012\nmore", "TIF012"),
        ("exit_code 1 bug ../../etc/passwd", ".._.._etc_passwd"),
    ],
)
def test_names_of_bugs(said: str, bug: str) -> None:
    assert bug_of(said) == bug


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    (folder / "findings").mkdir(parents=True)
    (folder / "findings/1").write_bytes(b"one")
    (folder / "findings/2").write_bytes(b"two")
    return folder


def run(shared: Path, workdir: Workdir, findings: Iterable[bytes], content: bytes = b"inside") -> int:
    """Extract in a container that has these findings, and this content for each file that it is asked for."""
    found = tuple(findings)
    scripts = {"findings.sh": (*found, f"\0{len(found)}\0".encode()), "head -c": (content[:3], content[3:])}
    runner = MemoryRunner(lambda _spec: Script(scripts=scripts))
    spec = ContainerSpec(image="x", shared=shared, cpus=(0,), environment={}, labels={}, command=("sleep",))
    return extract(runner, runner.create(spec), shared, workdir.pocs, JOB).new


def pocs(workdir: Workdir) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in workdir.pocs.iterdir()}


def finding(file: str, said: str = "exit_code 1 bug PNG001") -> bytes:
    return f"{file}\0{said}\0".encode()


def test_pocs_are_named_by_bug_and_content(shared: Path, workdir: Workdir) -> None:
    found = [finding("/magma_shared/findings/1"), finding("/magma_shared/findings/2", "exit_code 134")]
    assert run(shared, workdir, found) == 2
    assert pocs(workdir) == {
        f"afl_libpng_readpng_PNG001.{hashed(b'one')}": b"one",
        f"afl_libpng_readpng_NEW.{hashed(b'two')}": b"two",
    }


def test_equal_cases_stand_once(shared: Path, workdir: Workdir) -> None:
    (shared / "findings/2").write_bytes(b"one")
    found = [finding(f"/magma_shared/findings/{name}") for name in (1, 2)]
    assert run(shared, workdir, found) == 1
    assert run(shared, workdir, found) == 0
    assert len(pocs(workdir)) == 1


def test_a_case_that_two_trials_find_at_one_time_is_new_once(
    shared: Path, workdir: Workdir, monkeypatch: pytest.MonkeyPatch
) -> None:
    both, write = Barrier(2), Path.write_bytes

    def write_together(path: Path, data: bytes) -> int:
        count = write(path, data)
        with suppress(BrokenBarrierError):
            both.wait(0.2)  # whoever may not write at one time does not come
        return count

    monkeypatch.setattr(Path, "write_bytes", write_together)
    with ThreadPoolExecutor() as threads:
        runs = [threads.submit(run, shared, workdir, [finding("/magma_shared/findings/1")]) for _ in range(2)]
        assert sum(found.result() for found in runs) == 1
    assert list(pocs(workdir).values()) == [b"one"]


def test_what_was_cut_short_is_no_extraction(shared: Path, workdir: Workdir) -> None:
    runner = MemoryRunner(lambda _spec: Script(scripts={"findings.sh": (finding("/magma_shared/findings/1"),)}))
    spec = ContainerSpec(image="x", shared=shared, cpus=(0,), environment={}, labels={}, command=("sleep",))
    with pytest.raises(EngineError, match="was cut short"):
        extract(runner, runner.create(spec), shared, workdir.pocs, JOB)


def test_a_case_elsewhere_is_read_in_the_container(shared: Path, workdir: Workdir) -> None:
    run(shared, workdir, [finding("/tmp/crash one")])
    assert list(pocs(workdir).values()) == [b"inside"]


@pytest.mark.parametrize(
    "file",
    [
        pytest.param("/magma_shared/findings/escape", id="link"),
        pytest.param("/magma_shared/out/secret", id="linked-folder"),
        pytest.param("/magma_shared/../secret", id="dots"),
        pytest.param("/magma_shared/findings/loop", id="loop"),
        pytest.param("/magma_shared/findings", id="folder"),
        pytest.param("/magma_shared/findings/none", id="gone"),
    ],
)
def test_nothing_of_the_host_is_read(shared: Path, workdir: Workdir, file: str) -> None:
    secret = shared.parent / "secret"
    secret.write_bytes(b"the host's")
    (shared / "findings/escape").symlink_to(secret)
    (shared / "findings/loop").symlink_to("loop")
    (shared / "out").symlink_to(shared.parent)
    run(shared, workdir, [finding(file)])
    assert list(pocs(workdir).values()) == [b"inside"]


def test_a_poc_that_cannot_be_written(shared: Path, workdir: Workdir) -> None:
    workdir.pocs.rmdir()
    with pytest.raises(StorageError, match="PNG001"):
        run(shared, workdir, [finding("/magma_shared/findings/1")])


def test_extraction_comes_after_the_archive(lab: Lab) -> None:
    lab.settings(poc_extract=True)
    lab.script = Script(scripts={"findings.sh": (finding("/magma_shared/monitor/5"), b"\x001\0")})
    lab.run()
    assert sorted(result.pocs or 0 for result in lab.results) == [0, 0, 1]
    commands = [spec.command for spec in lab.runner.created]
    assert commands.count(("sleep", "infinity")) == 3
    assert len(list(lab.workdir.pocs.iterdir())) == 1


def test_an_extraction_that_fails_costs_no_trial(lab: Lab) -> None:
    def refuse() -> None:
        raise EngineError("no exec here")

    lab.jobs = lab.jobs[:1]
    lab.settings(poc_extract=True)
    lab.script = Script(at={"execute": refuse})
    lab.run()
    assert lab.reasons() == [None]
    assert "PoC extraction failed: no exec here; `magma-remote extract`" in lab.results[0].warnings[-1]


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        pytest.param("/magma_shared/" + "x" * 5000, b"", "cannot be read", id="long"),
        pytest.param("/tmp/crash", b"x" * 100, "larger than", id="huge-inside"),
        pytest.param("/magma_shared/findings/huge", b"", "larger than", id="huge"),
    ],
)
def test_a_case_that_cannot_be_kept_is_named(
    shared: Path, workdir: Workdir, monkeypatch: pytest.MonkeyPatch, *, file: str, content: bytes, problem: str
) -> None:
    monkeypatch.setattr("magma_remote.runtime.trial.extract.LARGEST", 50)
    (shared / "findings/huge").write_bytes(b"x" * 51)

    class Refusing(MemoryRunner):
        def execute(self, container: str, script: str) -> Iterator[bytes]:
            if "x" * 5000 in script:
                raise EngineError("exit code 1")
            yield from super().execute(container, script)

    scripts = {"findings.sh": (finding(file), finding("/magma_shared/findings/1"), b"\x002\0"), "head -c": (content,)}
    runner = Refusing(lambda _spec: Script(scripts=scripts))
    spec = ContainerSpec(image="x", shared=shared, cpus=(0,), environment={}, labels={}, command=("sleep",))
    found = extract(runner, runner.create(spec), shared, workdir.pocs, JOB)
    assert [poc.case for poc in found.pocs] == ["/magma_shared/findings/1"]
    assert len(found.problems) == 1
    assert problem in found.problems[0]


def test_output_without_end_is_refused(shared: Path, workdir: Workdir) -> None:
    with pytest.raises(EngineError, match="says more than"):
        run(shared, workdir, [b"x" * (1 << 19)] * 3)


def test_two_cases_that_share_a_short_hash_both_stay(shared: Path, workdir: Workdir) -> None:
    name = f"afl_libpng_readpng_PNG001.{hashed(b'one')}"
    (workdir.pocs / name).write_bytes(b"another")
    found = [finding("/magma_shared/findings/1")]
    assert [run(shared, workdir, found) for _ in range(2)] == [1, 0]
    longer = f"{name}.{hashlib.sha256(b'one').hexdigest()}"
    assert pocs(workdir) == {name: b"another", longer: b"one"}


def test_findings_are_counted_and_exit_codes_kept(shared: Path, workdir: Workdir) -> None:
    said = (finding("/magma_shared/findings/1", "exit_code 139 bug PNG001"), b"\x007\0")
    runner = MemoryRunner(lambda _spec: Script(scripts={"findings.sh": said}))
    spec = ContainerSpec(image="x", shared=shared, cpus=(0,), environment={}, labels={}, command=("sleep",))
    found = extract(runner, runner.create(spec), shared, workdir.pocs, JOB)
    assert (found.findings, [poc.exit_code for poc in found.pocs]) == (7, [139])
