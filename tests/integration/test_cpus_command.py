"""The command `cpus` on saved machines, with and without a campaign file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner, Result

from magma_remote.cli.commands import cpus as command
from magma_remote.cli.commands.cpus import cpus
from magma_remote.errors import CpuError, MagmaRemoteError, UsageError
from magma_remote.model.lscpu import parse_lscpu
from tests.support.places import DATA

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LSCPU = DATA / "lscpu"


def call(*args: str, stdin: str = "") -> Result:
    return CliRunner().invoke(cpus, args, input=stdin)


def on(name: str, *args: str) -> Result:
    return call("--lscpu", str(LSCPU / f"{name}.txt"), *args)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A Magma tree that has what the campaign files here name."""
    root = tmp_path / "magma"
    for script in ("preinstall", "fetch", "build", "instrument", "run", "runonce", "findings"):
        for part in ("fuzzers/afl", "fuzzers/honggfuzz", "targets/libpng"):
            (root / part).mkdir(parents=True, exist_ok=True)
            (root / part / f"{script}.sh").touch()
    (root / "targets/libpng/configrc").write_text("PROGRAMS=(libpng_read_fuzzer)\n")
    (root / "docker").mkdir()
    (root / "docker/Dockerfile").touch()
    (root / "magma").mkdir()
    return root


def campaign(tree: Path, *lines: str) -> str:
    file = tree.parent / "campaign.hjson"
    given = [f"MAGMA: {tree}", "REPEAT: 1", 'FUZZERS: ["afl", "honggfuzz"]', *lines]
    file.write_text("{\n" + "\n".join(given) + "\n}\n")
    return str(file)


@pytest.mark.parametrize(
    ("name", "args", "lines"),
    [
        pytest.param("two_plain", [], ["0", "1"], id="all"),
        pytest.param("two_sockets_smt", ["--mode", "physical", "--workers", "3"], ["0,64", "1,65"], id="physical"),
        pytest.param("smt_adjacent", ["--pool", "5, 1,3"], ["1", "3", "5"], id="pool"),
        pytest.param("smt_adjacent", ["--pool", "0-2,8"], ["0", "1", "2", "8"], id="pool-ranges"),
        pytest.param("smt_adjacent", ["--workers", "4", "--campaign-workers", "2"], ["0,1", "2,3"], id="sets-of-two"),
        pytest.param("arm_empty", ["--mode", "socket"], ["0,1,2,3"], id="socket"),
    ],
)
def test_one_set_a_line(name: str, args: Sequence[str], lines: list[str]) -> None:
    result = on(name, *args)
    assert (result.exit_code, result.stdout.splitlines(), result.stderr) == (0, lines, "")


def test_lscpu_from_standard_input() -> None:
    result = call("--lscpu", "-", "--mode", "physical", stdin="0,0,0\n1,1,0\n2,0,0\n")
    assert result.stdout == "0,2\n1\n"


def test_this_machines_mask_applies_to_this_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    there = parse_lscpu((LSCPU / "smt_adjacent.txt").read_text())
    monkeypatch.setattr(command, "this_machine", lambda: (there, frozenset({30, 31})))
    result = call()
    assert result.stdout == "30\n31\n"
    assert "affinity mask, not used: CPUs 0-29" in result.stderr
    assert len(on("smt_adjacent").stdout.splitlines()) == 32


def test_left_over_cpus_are_told_on_standard_error() -> None:
    result = on("smt_adjacent", "--workers", "5", "--campaign-workers", "2")
    assert result.stdout == "0,1\n2,3\n"
    assert "one more set of 2: CPUs 4" in result.stderr


def test_a_mode_that_a_pool_overrides_is_told() -> None:
    assert "WORKER_MODE socket does not apply" in on("two_plain", "--pool", "0", "--mode", "socket").stderr


def test_a_campaign_file_gives_the_keys(tree: Path) -> None:
    file = campaign(
        tree, "WORKER_MODE: physical", "WORKERS: 8", "CAMPAIGN_WORKERS: 2", "FUZZER_CAMPAIGN_WORKERS: {afl: 4}"
    )
    result = on("two_sockets_smt", file)
    assert result.exception is None
    assert result.stdout == "0,64\n1,65\n2,66\n3,67\n"
    assert result.stderr == "magma-remote: a campaign of afl takes 2 sets at once, for its 4 logical CPUs\n"


def test_options_override_the_file(tree: Path) -> None:
    file = campaign(tree, "WORKER_MODE: physical", "WORKERS: 8", "CAMPAIGN_WORKERS: 2")
    args = ["--mode", "logical", "--workers", "2", "--campaign-workers", "1"]
    assert on("two_sockets_smt", file, *args).stdout == "0\n1\n"


def test_json_says_everything(tree: Path) -> None:
    file = campaign(tree, "WORKERS: 5", "CAMPAIGN_WORKERS: 2", "FUZZER_CAMPAIGN_WORKERS: {afl: 3}")
    assert json.loads(on("hybrid", file, "--json").stdout) == {
        "mode": "logical",
        "sets": [[0, 1], [2, 3]],
        "left_over": [4],
        "spare": [5, 6, 7, 8, 9, 10, 11],
        "outside": [],
        "sets_per_campaign": {"afl": 2, "honggfuzz": 1},
    }


@pytest.mark.parametrize(
    ("keys", "args"),
    [
        pytest.param([], ["--pool", "0", "--workers", "1"], id="both-options"),
        pytest.param(["WORKERS: 1"], ["--pool", "0"], id="pool-against-file"),
        pytest.param(["WORKER_POOL: [0]"], ["--workers", "1"], id="workers-against-file"),
    ],
)
def test_pool_and_workers_exclude_each_other(tree: Path, keys: list[str], args: list[str]) -> None:
    error = on("two_plain", campaign(tree, *keys), *args).exception
    assert isinstance(error, UsageError)
    assert str(error).startswith("--workers 1 and --pool 0 exclude each other")
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("args", "told"),
    [
        pytest.param(["--workers", "0"], "x>=1", id="no-workers"),
        pytest.param(["--mode", "core"], "'logical', 'physical', 'socket'", id="mode"),
        pytest.param(["--pool", ""], "'' is no CPU number", id="pool-empty"),
        pytest.param(["--pool", "1,x"], "'x' is no CPU number", id="pool-word"),
        pytest.param(["--pool", "3-1"], "'3-1' is no CPU number", id="pool-backwards"),
        pytest.param(["--pool", "1,0-1"], "names a CPU twice", id="pool-twice"),
        pytest.param(["--lscpu", "/nonexistent"], "No such file", id="no-file"),
    ],
)
def test_bad_usage(args: list[str], told: str) -> None:
    result = call(*args)
    assert result.exit_code == 2
    assert told in result.stderr


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        pytest.param(["FUZZER_CAMPAIGN_WORKERS: {afl: 3}"], "afl wants 3", id="fuzzer"),
        pytest.param(["WORKERS: 3"], "WORKERS", id="workers"),
        pytest.param(["WORKER_POOL: [2]"], "CPU 2 cannot be used", id="pool"),
    ],
)
def test_what_the_machine_cannot_give(tree: Path, keys: list[str], told: str) -> None:
    error = on("two_plain", campaign(tree, *keys)).exception
    assert isinstance(error, CpuError)
    assert told in str(error)


def test_a_missing_campaign_file_is_told(tmp_path: Path) -> None:
    error = on("two_plain", str(tmp_path / "gone.hjson")).exception
    assert isinstance(error, MagmaRemoteError | click.ClickException)
    assert "gone.hjson" in str(error)


def test_the_help_has_examples() -> None:
    assert "magma-remote cpus --mode physical --workers 8" in call("--help").stdout
