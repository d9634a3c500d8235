"""The settings files of examples/, and errors of several files at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magma_remote.adapters.hjson_file import read_hjson
from magma_remote.errors import ConfigError, Problem
from magma_remote.model.settings import DISPATCHER_KEYS, WORKER_KEYS, read_dispatcher, read_worker
from tests.support.places import EXAMPLES

if TYPE_CHECKING:
    from pathlib import Path


def locate(text: str) -> Path:
    return (EXAMPLES / text).resolve()


def test_the_examples_go_together() -> None:
    dispatcher = read_dispatcher(read_hjson(EXAMPLES / "dispatcher.hjson"), locate=locate, needs_jobs=True)
    worker = read_worker(read_hjson(EXAMPLES / "worker.hjson"), locate=locate, name="host", user="me")
    dispatcher.findings.check("dispatcher.hjson")
    worker.findings.check("worker.hjson")
    assert dispatcher.settings.queue == worker.settings.queue
    assert dispatcher.settings.jobs_config == EXAMPLES / "demo.hjson"
    assert worker.settings.magma == EXAMPLES / "magma"


def test_the_examples_name_every_key() -> None:
    for keys, name in ((DISPATCHER_KEYS, "dispatcher.hjson"), (WORKER_KEYS, "worker.hjson")):
        text = (EXAMPLES / name).read_text()
        assert [key for key in keys if f"  {key}: " not in text and f"  // {key}: " not in text] == []


def test_errors_of_several_files_keep_their_files() -> None:
    first = ConfigError([Problem(key="A", line=1, found="bad", allowed="")], source="a.hjson")
    second = ConfigError([Problem(key="B", found="missing", allowed="x")], source="b.hjson")
    assert str(ConfigError.joined([first, second])) == "a.hjson:1: A: bad\nb.hjson: B: missing; allowed: x"
