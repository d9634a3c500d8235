from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.cli.loading import Loaded, load
from magma_remote.errors import ConfigError
from magma_remote.model.campaign import CanaryMode, WorkerMode
from magma_remote.model.campaign_file import DEFAULTS, left_out
from tests.support.places import TREE

if TYPE_CHECKING:
    from pathlib import Path

ALL_TARGETS = ("libpng", "libtiff", "libxml2", "poppler")


def loaded(tmp_path: Path, text: str, *, magma: Path | None = TREE) -> Loaded:
    file = tmp_path / "c.hjson"
    file.write_text(text, encoding="utf-8")
    return load(file, magma)


def test_defaults(tmp_path: Path) -> None:
    campaign = loaded(tmp_path, 'REPEAT: 1\nFUZZERS: ["afl"]').campaign
    assert campaign.targets == ALL_TARGETS
    assert (campaign.timeout.text, campaign.timeout.seconds) == ("1m", 60)
    assert (campaign.worker_mode, campaign.workers, campaign.worker_pool) == (WorkerMode.LOGICAL, None, None)
    assert (campaign.campaign_workers, campaign.poll, campaign.tmpfs_size) == (1, 5, None)
    assert campaign.canary_mode is CanaryMode.CANARIES
    flags = (campaign.cache_on_disk, campaign.no_archive, campaign.isan, campaign.harden, campaign.poc_extract)
    assert flags == (False,) * 5
    assert (campaign.overridden_targets, campaign.programs, campaign.fuzzargs) == ({}, {}, {})


def test_the_defaults_that_are_told_are_those_that_hold(tmp_path: Path) -> None:
    least = {"REPEAT": 1, "FUZZERS": ["afl"]}
    stated = json.dumps({**least, **left_out(least)})
    assert loaded(tmp_path, stated).campaign == loaded(tmp_path, json.dumps(least)).campaign


def test_defaults_are_told_of_what_a_file_leaves_out() -> None:
    assert left_out({}) == {}
    assert left_out({"REPEAT": 1, **DEFAULTS}) == {}
    assert left_out({"REPEAT": 1, **DEFAULTS, "POLL": 9} | {"ISAN": True}) == {}
    assert left_out({"TIMEOUT": "1m", "POLL": 5}) == {}, "a quickrun notes what its trials share, and no more"
    pooled = left_out({"REPEAT": 1, "WORKER_POOL": [1]})
    assert pooled.keys() == DEFAULTS.keys() - {"WORKER_MODE"}
    assert pooled["CANARY_MODE"] == 1


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("WORKER_MODE: physical", "worker_mode", WorkerMode.PHYSICAL),
        ("WORKER_MODE: 3", "worker_mode", WorkerMode.SOCKET),
        ("WORKER_MODE: 2\nWORKER_POOL: [5, 1]", "worker_mode", WorkerMode.LOGICAL),
        ("WORKER_POOL: [5, 1]", "worker_pool", (5, 1)),
        ("WORKERS: 8", "workers", 8),
        ("FUZZER_CAMPAIGN_WORKERS: { afl: 4 }", "fuzzer_campaign_workers", {"afl": 4}),
        ("POLL: 1e1", "poll", 10),
        ("ISAN: 1\nHARDEN: 0", "isan", True),
        ("ISAN: 1\nHARDEN: 0", "harden", False),
        ("NO_ARCHIVE: true # comment", "no_archive", True),
        ("CANARY_MODE: 3", "canary_mode", CanaryMode.FIXES),
        ("FUZZARGS: { afl: -x a.dict }", "fuzzargs", {"afl": "-x a.dict"}),
        ("FUZZARGS: { afl: '-x a,b # c' }", "fuzzargs", {"afl": "-x a,b # c"}),
        ("FUZZARGS: { afl: -m a,b#c }", "fuzzargs", {"afl": "-m a,b#c"}),
    ],
)
def test_values(tmp_path: Path, text: str, field: str, value: Any) -> None:
    # a text without quotes takes the closing brace too, unless the brace has a line of its own
    text = text.replace(" }", "\n}")
    campaign = loaded(tmp_path, f'REPEAT: 1\nFUZZERS: ["afl"]\n{text}\n').campaign
    assert getattr(campaign, field) == value


@pytest.mark.parametrize(("text", "count"), [("16g", 16 << 30), ("512M", 512 << 20), ('"2097152"', 2 << 20)])
def test_sizes(tmp_path: Path, text: str, count: int) -> None:
    size = loaded(tmp_path, f'REPEAT: 1\nFUZZERS: ["afl"]\nTMPFS_SIZE: {text}\n').campaign.tmpfs_size
    assert size is not None
    assert size.bytes == count


def test_plain_json(tmp_path: Path) -> None:
    assert len(loaded(tmp_path, '{"REPEAT": 2, "FUZZERS": ["afl"], "TARGETS": ["libpng"]}').jobs) == 2


def test_a_bare_program_applies_where_the_target_has_it(tmp_path: Path) -> None:
    text = """
    REPEAT: 1
    FUZZERS: ["afl", "honggfuzz"]
    TARGETS: ["libtiff", "poppler"]
    PROGRAMS: {
      "afl": ["pdfimages", "tiffcp", "pdf_fuzzer"]
      "honggfuzz": ["tiffcp"]
      "honggfuzz,poppler": ["pdftoppm"]
    }
    """
    assert [(job.fuzzer, job.target, job.program) for job in loaded(tmp_path, text).jobs] == [
        ("afl", "libtiff", "tiffcp"),
        ("afl", "poppler", "pdfimages"),
        ("afl", "poppler", "pdf_fuzzer"),
        ("honggfuzz", "libtiff", "tiffcp"),
        ("honggfuzz", "poppler", "pdftoppm"),
    ]


def test_each_repeat_is_the_whole_list(tmp_path: Path) -> None:
    text = 'REPEAT: 2\nFUZZERS: ["afl"]\nTARGETS: ["libpng", "libtiff"]'
    assert [str(job) for job in loaded(tmp_path, text).jobs] == [
        "0,afl,libpng,libpng_read_fuzzer,",
        "0,afl,libtiff,tiff_read_rgba_fuzzer,",
        "0,afl,libtiff,tiffcp -M @@ tmp.out,",
        "1,afl,libpng,libpng_read_fuzzer,",
        "1,afl,libtiff,tiff_read_rgba_fuzzer,",
        "1,afl,libtiff,tiffcp -M @@ tmp.out,",
    ]


def test_magma_is_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "tree").symlink_to(TREE)
    assert loaded(tmp_path, 'REPEAT: 1\nFUZZERS: ["afl"]\nMAGMA: tree\n', magma=None).root == TREE


def test_the_option_wins_over_a_wrong_path(tmp_path: Path) -> None:
    assert loaded(tmp_path, 'REPEAT: 1\nFUZZERS: ["afl"]\nMAGMA: nowhere\n').root == TREE


def test_a_wrong_option(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"c\.hjson: --magma: .* is no Magma tree"):
        loaded(tmp_path, 'REPEAT: 1\nFUZZERS: ["afl"]', magma=tmp_path)


@pytest.mark.parametrize("home", ["~nobody_of_that_name/magma", "a\\u0000b", "x" * 5000], ids=["home", "NUL", "long"])
def test_a_path_that_is_none(tmp_path: Path, home: str) -> None:
    with pytest.raises(ConfigError, match=r"c\.hjson:3: MAGMA"):
        loaded(tmp_path, f'REPEAT: 1\nFUZZERS: ["afl"]\nMAGMA: "{home}"\n', magma=None)


def test_notes(tmp_path: Path) -> None:
    text = 'REPEAT: 1\nFUZZERS: ["afl"]\nWORKER_MODE: socket\nWORKER_POOL: [1]\nTIMEOUT: 5s\n'
    assert loaded(tmp_path, text).notes == (
        'WORKER_POOL lists logical CPUs: WORKER_MODE "socket" is not used',
        "POLL of 5 s is not shorter than a trial: bugs that it reaches may not be seen",
    )
