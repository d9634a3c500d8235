"""The lab that acceptance tests share."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.conftest import CI, missing
from tests.support.lab.lab import Lab, free_name, new_lab

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def lab_name() -> Iterator[str]:
    with free_name() as name:
        yield name


@pytest.fixture(scope="session")
def lab_can_run(docker_engine: object, base_image: str) -> None:
    """Docker Engine, the base image, ssh, and a CPU for each of two workers."""
    if not shutil.which("ssh-keygen"):
        missing("no ssh-keygen")
    if len(os.sched_getaffinity(0)) < 2:
        reason = "this machine has one CPU, and a lab of two workers needs two"
        pytest.fail(reason, pytrace=False) if CI else pytest.skip(reason)


@pytest.fixture(scope="session")
def lab(lab_can_run: None, lab_name: str) -> Iterator[Lab]:
    """A dispatcher, two workers and a stranger, up for all tests that ask for it."""
    with new_lab(lab_name) as found:
        yield found
