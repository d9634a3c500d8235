"""The commands on campaign files, as a user calls them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import DATA, ROOT, TREE

SEED = """\
REPEAT: 2
FUZZERS : ["afl", "honggfuzz"]
TARGETS : ["libtiff"]
OVERRIDDEN_TARGETS : {
    "afl": ["libpng"] # ignores TARGETS
}
PROGRAMS: {
    "honggfuzz": ["tiffcp"] # ignores tiff_read_rgba_fuzzer
}
FUZZARGS: {
    "afl,libpng": "-x /magma_shared/png.dict"
}
"""
JOBS = """\
0,afl,libpng,libpng_read_fuzzer,-x /magma_shared/png.dict
1,afl,libpng,libpng_read_fuzzer,-x /magma_shared/png.dict
0,honggfuzz,libtiff,tiffcp -M @@ tmp.out,
1,honggfuzz,libtiff,tiffcp -M @@ tmp.out,
"""


def magma_remote(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own."""
    command = [sys.executable, "-m", "magma_remote", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    (tmp_path / "campaign.hjson").write_text(SEED, encoding="utf-8")
    return tmp_path


def test_jobs(seed: Path) -> None:
    done = magma_remote("jobs", "campaign.hjson", "--magma", str(TREE), cwd=seed)
    assert (done.returncode, done.stdout, done.stderr) == (0, JOBS, "")


def test_jobs_as_json(seed: Path) -> None:
    done = magma_remote("jobs", "campaign.hjson", "--magma", str(TREE), "--json", cwd=seed)
    jobs = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(job["v"], job["repeat"], job["program"], job["args"]) for job in jobs] == [
        (1, 0, "libpng_read_fuzzer", ""),
        (1, 1, "libpng_read_fuzzer", ""),
        (1, 0, "tiffcp", "-M @@ tmp.out"),
        (1, 1, "tiffcp", "-M @@ tmp.out"),
    ]


def test_a_terminal_that_lacks_a_character(seed: Path) -> None:
    text = 'REPEAT: 1\nFUZZERS: ["afl"]\nTARGETS: ["libpng"]\nFUZZARGS: { afl: "\u2192" }\n'
    (seed / "arrow.hjson").write_text(text, encoding="utf-8")
    done = magma_remote("jobs", "arrow.hjson", "--magma", str(TREE), cwd=seed, PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stdout) == (0, "0,afl,libpng,libpng_read_fuzzer,\\u2192\n")


def test_validate(seed: Path) -> None:
    done = magma_remote("validate", "campaign.hjson", "--magma", str(TREE), cwd=seed)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "campaign.hjson: all right",
        f"  tree      {TREE}",
        "  trials    4 = 2 program runs x 2 repeats",
        "            afl: 1 program of libpng (1)",
        "            honggfuzz: 1 program of libtiff (1)",
        "  a trial   1 min (TIMEOUT 1m) on at least 1 CPU",
        "  together  4 min of CPU time",
        "  settings  FUZZARGS for afl,libpng",
    ]


def test_validate_for_programs(seed: Path) -> None:
    (seed / "campaign.hjson").write_text(
        f"{SEED}FUZZER_CAMPAIGN_WORKERS: {{ afl: 2 }}\nTIMEOUT: 2m\n", encoding="utf-8"
    )
    done = magma_remote("validate", "campaign.hjson", "--magma", str(TREE), "--json", cwd=seed)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "version": 1,
        "source": "campaign.hjson",
        "magma": str(TREE),
        "jobs": 4,
        "trials": {"afl": 2, "honggfuzz": 2},
        "pairs": [["afl", "libpng"], ["honggfuzz", "libtiff"]],
        "timeout": 120.0,
        "notes": [],
        "cpus": {
            "worker_mode": "logical",
            "workers": None,
            "worker_pool": None,
            "campaign_workers": 1,
            "fuzzer_campaign_workers": {"afl": 2},
            "fuzzers": ["afl", "honggfuzz"],
        },
    }


def test_everything_wrong_at_once_on_stderr(seed: Path) -> None:
    (seed / "bad.hjson").write_text('REPEAT: 0\nFUZZER: ["afl"]\n', encoding="utf-8")
    done = magma_remote("validate", "bad.hjson", "--magma", str(TREE), cwd=seed)
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert lines[0] == "bad.hjson:1: REPEAT: found 0; allowed: an integer of 1 or more"
    assert lines[1].startswith("bad.hjson:2: FUZZER: unknown key; allowed: REPEAT, ")
    assert lines[1].endswith("did you mean FUZZERS?")
    assert lines[2].startswith("bad.hjson: FUZZERS: missing")


def test_everything_wrong_for_programs(seed: Path) -> None:
    (seed / "bad.hjson").write_text('REPEAT: 0\nFUZZERS: ["afl"]\nTARGETS: ["libpng"]\n', encoding="utf-8")
    done = magma_remote("validate", "bad.hjson", "--json", cwd=seed)
    problems = json.loads(done.stdout)["problems"]
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == len(problems)
    assert [(problem["key"], problem["line"], problem["source"]) for problem in problems] == [
        ("REPEAT", 1, "bad.hjson"),
        ("MAGMA", None, "bad.hjson"),
    ]
    assert problems[0]["text"] == "REPEAT: found 0; allowed: an integer of 1 or more"


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("validate", "none.hjson"), id="no file"),
        pytest.param(("validate", "."), id="a folder"),
        pytest.param(("validate", "campaign.hjson"), id="no tree"),
        pytest.param(("validate", "campaign.hjson", "--magma", "."), id="no Magma tree"),
        pytest.param(("jobs",), id="no argument"),
        pytest.param(("jobs", "a", "b"), id="two arguments"),
        pytest.param(("import-captainrc", "none"), id="no captainrc"),
        pytest.param(("import-captainrc", str(DATA / "captainrc"), "-o", "campaign.hjson"), id="output exists"),
        pytest.param(("import-captainrc", str(DATA / "captainrc"), "-o", "no/such/out"), id="no folder for it"),
        pytest.param(("import-captainrc", str(DATA / "captainrc"), "--magma", "."), id="no tree to import with"),
    ],
)
def test_bad_usage(seed: Path, arguments: tuple[str, ...]) -> None:
    done = magma_remote(*arguments, cwd=seed)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert (seed / "campaign.hjson").read_text(encoding="utf-8") == SEED


def test_import_then_list(seed: Path) -> None:
    rc = str(DATA / "captainrc")
    done = magma_remote("import-captainrc", rc, "-o", "new.hjson", "--magma", str(TREE), cwd=seed)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith(f"{rc}:6: WORKDIR is not part of a campaign file")
    listed = magma_remote("jobs", "new.hjson", cwd=seed)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert listed.stdout.splitlines()[:2] == [
        "0,afl,libpng,libpng_read_fuzzer,-x /magma_shared/png.dict",
        "0,afl,libtiff,tiffcp -M @@ tmp.out,",
    ]


def test_import_to_standard_output(seed: Path) -> None:
    done = magma_remote("import-captainrc", str(DATA / "captainrc"), cwd=seed)
    assert done.returncode == 0
    assert done.stdout == (DATA / "captainrc.hjson").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["validate", "jobs", "import-captainrc"])
def test_help_has_an_example(seed: Path, command: str) -> None:
    done = magma_remote(command, "--help", cwd=seed)
    assert done.returncode == 0
    assert f"magma-remote {command} ca" in done.stdout


@pytest.mark.parametrize("command", ["--version", "validate", "jobs"])
def test_an_output_that_is_full_is_a_message(seed: Path, command: str) -> None:
    arguments = [command] if command == "--version" else [command, "campaign.hjson", "--magma", str(TREE)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "magma_remote", *arguments],
            cwd=seed,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["magma-remote: standard output: No space left on device"]
