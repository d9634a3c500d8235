"""Settings against the machine: everything that cannot work is refused at once, with its line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from magma_remote.cli import settings as loading
from magma_remote.cli.settings import find_settings, load_dispatch, load_dispatcher, load_worker
from magma_remote.errors import ConfigError, UsageError
from tests.support.places import TREE

if TYPE_CHECKING:
    from magma_remote.model.settings import DispatcherSettings

CAMPAIGN = f'REPEAT: 1\nFUZZERS: ["afl"]\nTARGETS: ["libpng"]\nMAGMA: {TREE}\n'


OWN = "allowed: a folder of its own"
OUTSIDE = "allowed: a folder outside of it"
INSIDE = "inside TEMP_RESULTS (a), which is removed at the end"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "campaign.hjson").write_text(CAMPAIGN)
    monkeypatch.setattr(loading, "SYSTEM", tmp_path / "etc")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "rsync").touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def dispatch(**keys: str) -> DispatcherSettings:
    settings = {"TEMP_RESULTS": "temp", "WORKDIR": "workdir", "COPY_TYPE": "scp", "JOBS_CONFIG": "campaign.hjson"}
    lines = [f'{key}: "{value}"' for key, value in {**settings, **keys}.items()]
    Path("dispatcher.hjson").write_text("\n".join(lines))
    return load_dispatch(None, None, None)[0]


def worker(**keys: str) -> list[str]:
    """The messages about worker.hjson, each without the file's name."""
    settings = {"WORKDIRS": "workdirs", "DISPATCHER_IP": "127.0.0.1", "WORKER_IP": "127.0.0.1", "MAGMA": str(TREE)}
    settings |= {"NAME": "w1", **keys}
    lines = [f"{key}: {value}" for key, value in settings.items()]
    Path("worker.hjson").write_text("\n".join(lines))
    try:
        load_worker(None)
    except ConfigError as error:
        return [line.removeprefix("worker.hjson:") for line in str(error).splitlines()]
    return []


def refused(place: Path, **keys: str) -> list[str]:
    """The messages about dispatcher.hjson, each without the file's name and the folder's."""
    with pytest.raises(ConfigError) as caught:
        dispatch(**keys)
    return [line.replace(f"{place}/", "").removeprefix("dispatcher.hjson:") for line in str(caught.value).splitlines()]


def test_a_new_campaign(place: Path) -> None:
    settings = dispatch()
    assert (settings.workdir, settings.temp_results) == (place / "workdir", place / "temp")
    assert sorted(path.name for path in place.iterdir()) == ["bin", "campaign.hjson", "dispatcher.hjson"]


def test_folders_that_exist(place: Path) -> None:
    (place / "workdir").mkdir()
    (place / "temp").mkdir()
    temp, workdir = refused(place)
    assert temp == (
        "1: TEMP_RESULTS: temp exists; allowed: a folder that is not there yet; "
        "it is removed when all results are merged: name a new folder"
    )
    assert workdir == (
        "2: WORKDIR: workdir exists; allowed: a folder that is not there yet; "
        "name another, or the WORKDIR of a campaign that is to go on"
    )


def test_a_campaign_that_goes_on(place: Path) -> None:
    (place / "workdir").mkdir()
    (place / "workdir" / "ledger.sqlite").touch()
    (place / "temp" / "workdir_abc_1-123456").mkdir(parents=True)
    dispatch()
    (place / "temp" / "thesis.tex").touch()
    (message,) = refused(place)
    assert message == (
        '1: TEMP_RESULTS: temp holds "thesis.tex", which is no fetched result; '
        "allowed: the campaign's own TEMP_RESULTS, or a folder that is not there yet"
    )


def test_a_start_that_was_killed_at_once_goes_on(place: Path) -> None:
    (place / "workdir" / "log").mkdir(parents=True)
    (place / "temp").mkdir()
    (place / "workdir" / "log" / "dispatcher.jsonl").touch()
    assert len(refused(place)) == 2
    (place / "workdir" / ".lock").touch()
    (place / "workdir" / "log" / "afl_libpng_build_192.0.2.7.log").touch()  # as `images` leaves it
    (place / "workdir" / "staging").mkdir()  # as it does where it is killed
    dispatch()
    (place / "workdir" / "log" / "other.log").touch()
    assert len(refused(place)) == 2


@pytest.mark.parametrize(
    ("temp", "workdir", "expected"),
    [
        pytest.param("a", "a", f"2: WORKDIR: the same folder as TEMP_RESULTS (a); {OWN}", id="same"),
        pytest.param(
            "b/../a", "link/a", f"2: WORKDIR: the same folder as TEMP_RESULTS (a); {OWN}", id="same by a link"
        ),
        pytest.param("a", "a/b/c", f"2: WORKDIR: a/b/c is {INSIDE}; {OUTSIDE}", id="inside"),
        pytest.param("a", "link/a/b", f"2: WORKDIR: a/b is {INSIDE}; {OUTSIDE}", id="inside by a link"),
        pytest.param(
            "a/ar/x",
            "a",
            "1: TEMP_RESULTS: a/ar/x is where WORKDIR keeps its own files; "
            "allowed: a folder outside of WORKDIR, or a/fetched",
            id="among the results",
        ),
    ],
)
def test_folders_in_each_other(place: Path, temp: str, workdir: str, expected: str) -> None:
    (place / "link").symlink_to(place)
    assert refused(place, TEMP_RESULTS=temp, WORKDIR=workdir) == [expected]


def test_temp_results_may_be_in_workdir() -> None:
    assert dispatch(TEMP_RESULTS="workdir/fetched").temp_results.name == "fetched"


def test_folders_beside_each_other_with_one_beginning() -> None:
    dispatch(TEMP_RESULTS="results", WORKDIR="results_all")


def test_what_is_no_folder(place: Path) -> None:
    (place / "file").touch()
    (place / "other").touch()
    (place / "circle").symlink_to("circle")
    temp, workdir, key = refused(place, TEMP_RESULTS="file", WORKDIR="other/x", SSH_KEY="none")
    usable = "cannot be used: Not a directory; allowed: a folder that this user can use"
    assert (temp, workdir) == (f"1: TEMP_RESULTS: file {usable}", f"2: WORKDIR: other/x {usable}")
    assert key.startswith("5: SSH_KEY: none cannot be read: No such file or directory; ")
    assert "Symlink loop" in refused(place, WORKDIR="circle/x")[0]


def test_rsync_where_it_is_needed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(place / "none"))
    dispatch(COPY_TYPE="scp")
    (message,) = refused(place, COPY_TYPE="rsync")
    assert message == (
        "3: COPY_TYPE: rsync is not installed on this machine; allowed: scp; "
        "or `apt-get install rsync`, here and on every worker"
    )
    (message,) = refused(place, COPY_TYPE="scp", TEMP_RESULTS="/dev/shm/magma-remote-none/temp")
    assert message == (
        "1: TEMP_RESULTS: WORKDIR is on another file system: merging needs rsync, which is not installed on this "
        "machine; allowed: a folder on WORKDIR's file system; or `apt-get install rsync`"
    )


def test_everything_in_both_files_at_once(place: Path) -> None:
    (place / "campaign.hjson").write_text(CAMPAIGN + "POLL: 0\n")
    (place / "workdir").mkdir()
    assert [line.split(": ")[:2] for line in refused(place, COPY_TYPE="cp", FETCHES="0")] == [
        ["2", "WORKDIR"],
        ["3", "COPY_TYPE"],
        ["5", "FETCHES"],
        ["campaign.hjson:5", "POLL"],
    ]


def test_results_in_the_tree(place: Path) -> None:
    inside = str(TREE / "results")
    assert refused(place, WORKDIR=inside) == [
        f"2: WORKDIR: {inside} is inside the Magma tree {TREE}; allowed: a folder outside of it"
    ]


def test_commands_beside_a_dispatcher_look_at_the_file_alone(place: Path) -> None:
    (place / "workdir").mkdir()
    Path("dispatcher.hjson").write_text("TEMP_RESULTS: temp\nWORKDIR: workdir\nCOPY_TYPE: scp")
    assert load_dispatcher(None).workdir == place / "workdir"


def test_no_settings_says_where_it_looked(place: Path) -> None:
    with pytest.raises(UsageError, match=r"neither dispatcher\.hjson .*/etc/dispatcher\.hjson.*--settings FILE"):
        find_settings("dispatcher.hjson", None)
    (place / "etc").mkdir()
    (place / "etc" / "dispatcher.hjson").touch()
    assert find_settings("dispatcher.hjson", None) == place / "etc" / "dispatcher.hjson"
    (place / "dispatcher.hjson").touch()
    assert find_settings("dispatcher.hjson", None) == Path("dispatcher.hjson")


def test_a_worker_that_is_new() -> None:
    assert worker() == []


def test_a_worker_and_its_own_folder(place: Path) -> None:
    (place / "workdirs").mkdir()
    own = place / "workdirs" / "worker.json"
    own.write_text(json.dumps({"version": 1, "worker": "abc", "name": "w1"}))
    (place / "workdirs" / "workdir_1").mkdir()
    assert worker() == []
    assert len(worker(NAME="w2")) == 1
    assert worker(NAME="w2")[0].endswith("; if it is the same worker, set NAME: w1")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(None, "exists and is no worker's", id="somebody's folder"),
        pytest.param("{", "cannot be read, or is of another version", id="no JSON"),
        pytest.param("[]", "cannot be read, or is of another version", id="no object"),
        pytest.param('{"version": 2, "worker": "a", "name": "w1"}', "is of another version", id="version"),
        pytest.param('{"version": 1, "worker": "a", "name": "w9"}', 'is worker "w9"\'s, this is "w1"', id="another"),
    ],
)
def test_a_worker_and_another_folder(place: Path, content: str | None, said: str) -> None:
    (place / "workdirs").mkdir()
    if content is not None:
        (place / "workdirs" / "worker.json").write_text(content)
    messages = worker()
    assert len(messages) == 1
    assert messages[0].startswith("1: WORKDIRS: ")
    assert said in messages[0]


def test_everything_about_a_worker_at_once() -> None:
    messages = worker(MAGMA="none", WORKDIRS="/etc", HOUSEKEEPING_CPUS="[100000]", SSH_PORT="0")
    assert [message.split(": ")[:2] for message in messages] == [
        ["1", "WORKDIRS"],
        ["4", "MAGMA"],
        ["6", "HOUSEKEEPING_CPUS"],
        ["7", "SSH_PORT"],
    ]


def test_a_worker_in_the_tree() -> None:
    inside = str(TREE / "workdirs")
    assert worker(WORKDIRS=inside) == [
        f"1: WORKDIRS: {inside} is inside the Magma tree {TREE}; allowed: a folder outside of it"
    ]
