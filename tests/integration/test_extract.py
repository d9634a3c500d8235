"""`magma-remote extract` with real containers: after a quickrun, after captain, interrupted, and on real bugs."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.places import EXAMPLES
from tests.support.processes.command import COMMAND, Ended
from tests.support.processes.quickrun import await_cpus
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.processes.quickrun import Lab

_BUSY = ("CPUs in use on this machine", "all CPUs of this machine are held")
SECONDS = 120.0


def extract(workdir: Path, *options: str | Path) -> Ended:
    """Run to the end; once more where other runs on this machine have the CPUs. Its two streams follow each other."""
    argv = [COMMAND, "extract", str(workdir), *map(str, options)]

    found: list[Ended] = []

    def through() -> bool:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False)
        found.append(Ended(code=done.returncode, output=done.stderr + done.stdout))
        return not any(busy in found[-1].output for busy in _BUSY)

    until(through)
    assert "Traceback" not in found[-1].output
    return found[-1]


def interrupted(workdir: Path, log: Path, running: Callable[[], object]) -> tuple[int, str]:
    """Exit code and output of one that gets Ctrl-C in its second trial."""
    await_cpus()
    argv = ["env", "--default-signal=INT", COMMAND, "extract", str(workdir), "--workers", "1"]
    with log.open("wb") as output, subprocess.Popen(argv, stdout=output, stderr=output) as process:
        try:
            until(lambda: process.poll() is not None or ("Extracted finds" in log.read_text() and running()))
            process.send_signal(signal.SIGINT)
            code = process.wait(30)
        finally:
            process.kill()
    assert "Traceback" not in log.read_text()
    return code, log.read_text()


def pocs(workdir: Path) -> dict[str, bytes]:
    """PoCs by their names."""
    return {path.name: path.read_bytes() for path in (workdir / "poc").iterdir() if path.name != "index.json"}


def bugs(workdir: Path) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """What the index says."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = json.loads((workdir / "poc/index.json").read_text())["bugs"]
    return found


def short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:8]


EXPECTED = {
    f"finds_toy_letters_{bug}.{short(content)}": content
    for bug, content in (("TOY001", b"A"), ("TOY001", b"bbA"), ("NEW", b"X"))
}


@pytest.fixture(scope="module")
def ran(shared_lab: Lab) -> Path:
    """A quickrun without POC_EXTRACT of a trial that finds PoCs, and of one that finds nothing."""
    ended = shared_lab.run(shared_lab.campaign(FUZZERS=["finds", "silent"], REPEAT=1))
    assert ended.code == 0, ended.output
    return shared_lab.workdir()


@pytest.fixture
def workdir(ran: Path, tmp_path: Path) -> Path:
    """A copy of what it left."""
    shutil.copytree(ran, tmp_path / "merged")
    return tmp_path / "merged"


def test_what_quickrun_left_needs_no_tree(workdir: Path) -> None:
    ended = extract(workdir)
    assert ended.code == 0, ended.output
    assert pocs(workdir) == EXPECTED
    assert "Extracted silent/toy/letters/0: no findings" in ended.output
    assert "Extracted finds/toy/letters/0: 5 findings, 3 PoCs, 3 of them new" in ended.output
    by_size = {poc["size"]: poc for poc in bugs(workdir)["toy"]["TOY001"]}
    assert by_size[3]["sha256"] == hashlib.sha256(b"bbA").hexdigest()
    assert by_size[3]["trials"] == ["finds/toy/letters/0"]
    assert not (workdir / "cache").exists()

    again = extract(workdir, "--json")
    assert again.code == 0, again.output
    told = json.loads(again.lines[-1])
    assert (told["kept"], told["extracted"], told["bugs"]) == (
        2,
        2,
        {"toy": {"NEW": {"finds": 1}, "TOY001": {"finds": 2}}},
    )
    verified = subprocess.run(
        [COMMAND, "verify", str(workdir)], capture_output=True, text=True, check=False, timeout=60
    )
    assert verified.returncode == 0, verified.stdout


def test_captains_results_need_the_campaign(workdir: Path, shared_lab: Lab) -> None:
    """One trial as a plain folder, with a link out of it that its container may follow and nobody else."""
    captain = workdir.with_name("captain")
    shutil.move(workdir / "ar", captain / "ar")
    run = captain / "ar/finds/toy/letters/0"
    shutil.unpack_archive(run / "ball.tar", run)
    (run / "ball.tar").unlink()
    (captain.parent / "secret").write_text("A")
    (run / "findings/out").symlink_to(captain.parent / "secret")
    refused = extract(captain, "--magma", shared_lab.tree)
    assert refused.code == 2
    assert "--campaign" in refused.output
    ended = extract(captain, "--campaign", shared_lab.folder / "campaign.hjson")
    assert ended.code == 0, ended.output
    assert "Trials whose image is an assumption (2)" in ended.output
    assert pocs(captain) == EXPECTED
    assert sorted(path.name for path in captain.iterdir()) == [".lock", "ar", "extracted", "poc"]
    assert not (run / "runonce.tmp").exists()


def test_a_tree_that_changed_is_refused_by_name(workdir: Path, shared_lab: Lab, tmp_path: Path) -> None:
    tree = tmp_path / "magma"
    shutil.copytree(shared_lab.tree, tree)
    (tree / "fuzzers/finds/run.sh").write_text("#!/bin/bash\n")
    record = workdir / "trials/finds,toy,letters,0.json"
    facts = json.loads(record.read_text()) | {"image": "sha256:gone", "digest": "0" * 64}
    record.write_text(json.dumps(facts))
    ended = extract(workdir, "--magma", tree)
    assert ended.code == 1
    assert "the tree makes another image of finds/toy" in ended.output
    assert "1 of 2 trials extracted" in ended.output
    assert not pocs(workdir)


def test_interrupted_it_leaves_nothing_and_goes_on_later(workdir: Path, shared_lab: Lab, tmp_path: Path) -> None:
    """Ctrl-C among thousands of cases: what was done is kept, what was not is named and done the next time."""
    run = workdir / "ar/silent/toy/letters/0"
    shutil.unpack_archive(run / "ball.tar", run)
    (run / "ball.tar").unlink()
    (run / "findings").mkdir(exist_ok=True)
    for number in range(3000):
        (run / f"findings/{number}").write_bytes(b"b")
    code, said = interrupted(workdir, tmp_path / "output", lambda: shared_lab.containers(workdir, running=True))
    assert code == 1, said
    assert "Not extracted: stopped by SIGINT before it was done (1):" in said
    assert "1 of 2 trials extracted, 3 PoCs" in said
    assert not shared_lab.containers(workdir)
    shutil.rmtree(run / "findings")
    (run / "findings").mkdir()
    (run / "findings/left").write_bytes(b"A")
    ended = extract(workdir)
    assert ended.code == 0, ended.output
    assert "PoCs of 1 trial to extract (1 were done before)" in ended.output
    assert set(pocs(workdir)) == {*EXPECTED, f"silent_toy_letters_TOY001.{short(b'A')}"}


@pytest.mark.timeout(1800)  # the image is built here where no test before has built it
@pytest.mark.usefixtures("docker_engine", "base_image")
def test_real_bugs_are_named(tmp_path: Path) -> None:
    """The example tree's own triggers, as if a fuzzer had found them."""
    run = tmp_path / "merged/ar/aflplusplus/libpng/libpng_read_fuzzer/0"
    crashes = run / "findings/default/crashes"
    crashes.mkdir(parents=True)
    (run / "monitor").mkdir()
    triggers = sorted((EXAMPLES / "magma/targets/libpng/triggers/libpng_read_fuzzer").iterdir())
    for number, trigger in enumerate(triggers):
        shutil.copy(trigger, crashes / f"id:{number:06},sig:11")
    (crashes / "README.txt").write_text("no case")
    ended = extract(tmp_path / "merged", "--campaign", EXAMPLES / "demo.hjson")
    assert ended.code == 0, ended.output
    found = bugs(tmp_path / "merged")["libpng"]
    assert sorted(found) == [trigger.name for trigger in triggers]
    for trigger in triggers:
        (poc,) = found[trigger.name]
        assert (tmp_path / "merged/poc" / poc["file"]).read_bytes() == trigger.read_bytes()
