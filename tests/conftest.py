"""What all tests share. A missing service skips a test on a developer's machine and fails it in CI."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import warnings
from typing import TYPE_CHECKING, NoReturn

import docker
import pytest
from docker.errors import DockerException, ImageNotFound

from magma_remote.cli import settings
from tests.support.servers.beanstalkd import Beanstalkd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASE_IMAGE = "debian:bookworm"
CI = os.environ.get("CI", "").lower() not in {"", "0", "false"}


def pytest_configure() -> None:
    """Hear SIGINT as on a terminal: a shell starts background jobs with it ignored, and tests send it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_campaign_of_this_machine(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where this machine is deployed, no command in this process finds its settings: tests cancel campaigns."""
    monkeypatch.setattr(settings, "SYSTEM", tmp_path_factory.getbasetemp() / "etc")


def missing(what: str) -> NoReturn:
    """End the test that cannot run: skipped here, failed in CI, where everything must be there."""
    reason = f"{what}: run make setup"
    if CI:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[docker.DockerClient]:
    """A client of the engine of this machine."""
    client = _connect()
    if isinstance(client, str):
        missing(f"no Docker Engine answers ({client})")
    yield client
    client.close()


def _connect() -> docker.DockerClient | str:
    """A client whose engine answers, or why there is none."""
    with warnings.catch_warnings():
        # the SDK drops its socket unclosed where nobody listens: collect it here, where that may be ignored
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            client = docker.from_env(timeout=30)
            client.ping()
        except DockerException as error:
            reason = str(error)
        else:
            return client
        gc.collect()
        return reason


@pytest.fixture(scope="session")
def base_image(docker_engine: docker.DockerClient) -> str:
    """Name of the image that the demo tree's images are built from."""
    try:
        docker_engine.images.get(BASE_IMAGE)
    except ImageNotFound:
        missing(f"no image {BASE_IMAGE}")
    return BASE_IMAGE


@pytest.fixture
def fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written need not outlive a power cut."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def beanstalkd(tmp_path: Path) -> Iterator[Beanstalkd]:
    """A server of this test alone, with a binlog, on a unix socket."""
    if not shutil.which("beanstalkd"):
        missing("no beanstalkd")
    with Beanstalkd(tmp_path / "queue") as server:
        yield server
