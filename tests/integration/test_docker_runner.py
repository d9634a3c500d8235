"""The engine behind `Runner`: output as it really comes, and ends that are no errors."""

from __future__ import annotations

import platform
import socket
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from magma_remote import __version__
from magma_remote.adapters.docker import DockerRunner
from magma_remote.errors import EngineError
from magma_remote.model.container import ContainerSpec
from magma_remote.model.image import Recipe
from magma_remote.runtime.trial.output import save_output
from tests.support.processes.quickrun import CPUS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docker import DockerClient

    Start = Callable[[str], str]

# The SDK shuts the socket of a stream down, and leaves it to the collector with a warning
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("collected"),
]
LABEL = "magma-remote.test"
RECIPE = Recipe(fuzzer="x1", target="y2", build_args={}, digest="0123456789abcdef" * 4)


@pytest.fixture
def runner(docker_engine: DockerClient) -> DockerRunner:
    """The engine of this machine."""
    return DockerRunner()


@pytest.fixture
def start(runner: DockerRunner, base_image: str, tmp_path: Path) -> Iterator[Start]:
    """Starts a container that runs a Bash script."""
    made: list[str] = []

    def go(script: str) -> str:
        spec = ContainerSpec(
            image=base_image,
            shared=tmp_path,
            cpus=(CPUS[0],),
            environment={},
            labels={LABEL: str(tmp_path)},
            command=("bash", "-c", script),
        )
        made.append(runner.create(spec))
        runner.start(made[-1])
        return made[-1]

    yield go
    for container in made:
        runner.remove(container)


def test_words_that_the_engine_cuts_in_two(runner: DockerRunner, start: Start, tmp_path: Path) -> None:
    """The engine hands on a line without end in pieces of 16 KiB."""
    words = "Campaign terminated at 2026-01-31 12:00"
    container = start(f"head -c $((16384 - 11)) /dev/zero | tr '\\0' x; echo '{words}'")
    runner.wait(container)
    with runner.lines(container, follow=False) as lines:
        pieces = list(lines)
    assert not any(words in piece.text for piece in pieces)
    output = save_output(pieces, tmp_path / "log")
    assert output.terminated_at == pieces[-1].at
    assert (tmp_path / "log").read_text() == "x" * (16384 - 11) + f"{words}\n"


def test_bytes_that_are_no_text(runner: DockerRunner, start: Start) -> None:
    container = start(r"printf '\xff\xfe\n\0\n'; echo error >&2")
    runner.wait(container)
    with runner.lines(container, follow=False) as lines:
        assert {line.text for line in lines} == {"\ufffd\ufffd\n", "\0\n", "error\n"}


def test_following_ends_when_left(runner: DockerRunner, start: Start) -> None:
    container = start("echo one; exec sleep 600")
    with runner.lines(container, follow=True) as lines:
        assert next(lines).text == "one\n"
    runner.kill(container)
    runner.wait(container)


def test_ended_and_gone_are_no_errors(runner: DockerRunner, start: Start, tmp_path: Path) -> None:
    container = start("exec sleep 600")
    assert [owned.id for owned in runner.owned(f"{LABEL}={tmp_path}")] == [container]
    for _ in range(2):
        runner.kill(container)
    for _ in range(2):
        runner.remove(container)
    runner.kill(container)
    assert runner.owned(f"{LABEL}={tmp_path}") == ()


def test_a_script_in_a_running_container(runner: DockerRunner, start: Start) -> None:
    container = start("exec sleep 600")
    said = b"".join(runner.execute(container, "printf 'a\\0b'; echo unheard >&2; head -c 100000 /dev/zero"))
    assert said == b"a\0b" + bytes(100000)


def test_a_container_that_is_gone(runner: DockerRunner) -> None:
    with pytest.raises(EngineError, match="No such container"):
        runner.wait("0" * 64)


def test_the_machine_that_containers_run_on(runner: DockerRunner) -> None:
    found = runner.machine()
    assert found.host == socket.gethostname()
    assert found.kernel == platform.release()
    assert found.docker == runner.api.version()["Version"]
    assert found.cpu
    assert Path("/proc/cpuinfo").read_text().count(found.cpu) or platform.machine() != "x86_64"
    assert found.system
    assert found.magma_remote == __version__


def test_no_such_image(runner: DockerRunner) -> None:
    assert runner.image_id("magma/none/none:none") is None
    assert runner.find(RECIPE) is None


def test_an_image_made_from_one_of_ours_is_not_ours(
    runner: DockerRunner, docker_engine: DockerClient, base_image: str
) -> None:
    labels = "".join(f"LABEL {name}={value}\n" for name, value in RECIPE.labels.items())
    made = docker_engine.images.build(
        fileobj=BytesIO(f"FROM {base_image}\n{labels}".encode()), tag=RECIPE.tag, rm=True
    )[0]
    derived = docker_engine.images.build(fileobj=BytesIO(f"FROM {RECIPE.tag}\nENV RV=1\n".encode()), rm=True)[0]
    try:
        assert runner.find(RECIPE) == made.id
        assert derived.labels == made.labels
        other = replace(RECIPE, digest=RECIPE.digest[:16] + "0" * 48)
        assert runner.find(other) is None
    finally:
        for image in (derived, made):
            docker_engine.images.remove(image.id or "", force=True)


def test_a_script_that_fails(runner: DockerRunner, start: Start) -> None:
    container = start("exec sleep 600")
    with pytest.raises(EngineError, match="exit code 3"):
        list(runner.execute(container, "echo half; exit 3"))


def test_a_log_is_never_rotated(start: Start, docker_engine: DockerClient) -> None:
    container = docker_engine.containers.get(start("exec sleep 600"))
    assert container.attrs["HostConfig"]["LogConfig"]["Config"]["max-size"] == "1024g"
