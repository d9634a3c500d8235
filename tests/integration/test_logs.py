"""Logs: what a line holds, and that no trouble of a log ends what it tells of."""

from __future__ import annotations

import io
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from magma_remote.errors import StorageError
from magma_remote.model.jobs import Job
from magma_remote.runtime import logs
from magma_remote.runtime.logs import console, facts, open_log

log = logging.getLogger("magma_remote.runtime.somewhere")
JOB = Job(repeat=1, fuzzer="afl", target="libpng", program="p", args="a,b")


def ours() -> list[logs.LastingFile]:
    """The open log files; pytest has handlers of its own."""
    return [handler for handler in logging.getLogger(logs.LOGGER).handlers if isinstance(handler, logs.LastingFile)]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_of_json(tmp_path: Path) -> None:
    path = tmp_path / "log" / "dispatcher.jsonl"
    with open_log(path):
        log.debug("unheard")
        log.info("ended %s\n→", "well", extra=facts(JOB, worker="w1", run="3-abc", reason=None))
    (line,) = lines(path)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ", line.pop("time"))
    assert line == {
        "level": "info",
        "message": "ended well\n→",
        "job": "1,afl,libpng,p a,b,",
        "fuzzer": "afl",
        "target": "libpng",
        "worker": "w1",
        "run": "3-abc",
    }


def test_lines_are_appended(tmp_path: Path) -> None:
    for number in range(2):
        with open_log(tmp_path / "l"):
            log.info("start %d", number)
    assert [line["message"] for line in lines(tmp_path / "l")] == ["start 0", "start 1"]
    assert not ours()


def test_a_line_that_a_kill_has_cut_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / "l").write_text('{"time": "20')
    with open_log(tmp_path / "l"):
        log.info("start")
    assert [line["message"] for line in map(json.loads, (tmp_path / "l").read_text().splitlines()[1:])] == ["start"]


def test_what_json_does_not_know_is_text(tmp_path: Path) -> None:
    with open_log(tmp_path / "l"):
        log.info("x", extra={"path": Path("/a"), "cpus": (0, 1)})
    assert [(line["path"], line["cpus"]) for line in lines(tmp_path / "l")] == [("/a", [0, 1])]


def test_a_traceback_is_for_programs_alone(tmp_path: Path) -> None:
    stream = io.StringIO()
    with open_log(tmp_path / "l"), console(stream):
        try:
            [].pop()
        except IndexError:
            log.exception("a step failed")
    assert "IndexError: pop from empty list" in lines(tmp_path / "l")[0]["error"]
    assert re.fullmatch(r"\d\d:\d\d:\d\d ERROR: a step failed\n", stream.getvalue())


def test_people_read_a_time_and_a_message() -> None:
    stream = io.StringIO()
    with console(stream):
        log.info("worker %s is there", "w\x1b[31m1\x07")
        log.warning("two\nlines")
    assert re.sub(r"\d\d:\d\d:\d\d", "T", stream.getvalue()) == "T worker w1 is there\nT WARNING: two\n         lines\n"


def test_old_lines_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LARGEST", 1000)
    with open_log(tmp_path / "l"):
        for number in range(100):
            log.info("line %d", number)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["l", "l.1", "l.2", "l.3", "l.4"]
    assert sum((tmp_path / name).stat().st_size for name in files) <= 5000
    assert lines(tmp_path / "l")[-1]["message"] == "line 99"


def test_a_full_disk_costs_lines_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "l"
    path.symlink_to("/dev/full")
    with open_log(path):
        log.info("lost")
        log.info("lost too")
        path.unlink()
        log.info("there is room again")
        assert [line["message"] for line in lines(path)] == ["there is room again"]
        log.info("and still")
    assert len(lines(path)) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said == f"{path}: the log cannot be written, lines are lost: [Errno 28] No space left on device"


def test_trouble_that_comes_back_is_told_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "l"
    with open_log(path):
        for _ in range(2):
            path.unlink(missing_ok=True)
            path.symlink_to("/dev/full")
            ours()[0].handleError(logging.makeLogRecord({}))
            log.info("lost")
            path.unlink()
            log.info("written")
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_console_that_is_gone() -> None:
    stream = io.StringIO()
    stream.close()
    with console(stream):
        log.info("unread")


def test_no_place_for_a_log(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"the log .*/file/l cannot be written: "), open_log(tmp_path / "file" / "l"):
        pass
