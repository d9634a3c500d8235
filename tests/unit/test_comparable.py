"""Which differences between two files of a campaign make its trials incomparable."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from magma_remote.model.campaign import Campaign, CanaryMode, WorkerMode
from magma_remote.model.comparable import changed, terms
from magma_remote.model.jobs import Job
from magma_remote.model.units import Duration, Size

CAMPAIGN = Campaign(repeat=2, fuzzers=("afl",), targets=("libpng",), timeout=Duration.parse("60s"))
JOBS = tuple(Job(repeat=n, fuzzer="afl", target="libpng", program="read", args="@@", fuzzargs="-x") for n in range(2))
SOURCES = {("afl", "libpng"): "a" * 64}
BEFORE = terms(CAMPAIGN, JOBS, SOURCES)
ECLIPSER = Job(repeat=0, fuzzer="eclipser", target="libpng", program="read", args="@@")


def workers(**counts: int) -> MappingProxyType[str, int]:
    return MappingProxyType(counts)


@pytest.mark.parametrize(
    ("campaign", "said"),
    [
        ({"timeout": Duration.parse("1h")}, "TIMEOUT was 60 s, is 3600 s"),
        ({"poll": 6}, "POLL was 5, is 6"),
        ({"canary_mode": CanaryMode.BARE}, "CANARY_MODE was 1, is 2"),
        ({"isan": True}, "ISAN was False, is True"),
        ({"harden": True}, "HARDEN was False, is True"),
        ({"worker_mode": WorkerMode.SOCKET}, "WORKER_MODE was logical, is socket"),
        ({"cache_on_disk": True}, "CACHE_ON_DISK was False, is True"),
        ({"campaign_workers": 2}, "CAMPAIGN_WORKERS of afl was 1, is 2"),
        ({"fuzzer_campaign_workers": workers(afl=4)}, "CAMPAIGN_WORKERS of afl was 1, is 4"),
    ],
    ids=lambda value: value.split()[0] if isinstance(value, str) else "",
)
def test_settings_that_make_trials_incomparable(campaign: dict[str, Any], said: str) -> None:
    assert changed(BEFORE, terms(replace(CAMPAIGN, **campaign), JOBS, SOURCES)) == (said,)


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ({"fuzzargs": "-x -d"}, 'FUZZARGS of afl,libpng was "-x", is "-x -d"'),
        ({"fuzzargs": ""}, 'FUZZARGS of afl,libpng was "-x", is ""'),
        ({"args": "-v @@"}, 'the arguments of libpng/read was "@@", is "-v @@"'),
    ],
    ids=["fuzzargs", "no-fuzzargs", "args"],
)
def test_arguments_that_make_trials_incomparable(job: dict[str, Any], said: str) -> None:
    assert changed(BEFORE, terms(CAMPAIGN, [replace(each, **job) for each in JOBS], SOURCES)) == (said,)


def test_files_that_make_trials_incomparable() -> None:
    now = terms(CAMPAIGN, JOBS, {("afl", "libpng"): "b" * 64, ("eclipser", "libpng"): "c" * 64})
    assert changed(BEFORE, now) == ("the Magma tree for afl/libpng was aaaaaaaaaaaa, is bbbbbbbbbbbb",)


@pytest.mark.parametrize(
    "campaign",
    [
        {"timeout": Duration.parse("1m")},
        {"repeat": 10},
        {"workers": 4},
        {"worker_pool": (1, 3)},
        {"no_archive": True},
        {"poc_extract": True},
        {"tmpfs_size": Size.parse("1g")},
        {"fuzzers": ("afl", "eclipser")},
        {"campaign_workers": 2, "fuzzer_campaign_workers": workers(afl=1)},
        {"fuzzer_campaign_workers": workers(eclipser=2)},
    ],
    ids=lambda campaign: next(iter(campaign)),
)
def test_settings_that_may_change(campaign: dict[str, Any]) -> None:
    jobs = (*JOBS, ECLIPSER)
    now = terms(replace(CAMPAIGN, **campaign), jobs, SOURCES | {("eclipser", "libpng"): "c" * 64})
    assert changed(BEFORE, now) == ()
    assert BEFORE.items() <= now.items()


def test_what_went_is_no_change_of_terms() -> None:
    assert changed(terms(CAMPAIGN, (*JOBS, ECLIPSER), SOURCES), BEFORE) == ()
