"""What a worker makes of a campaign's demand for CPUs, told before anything starts."""

from __future__ import annotations

import json
from types import MappingProxyType

import pytest

from magma_remote.errors import CpuError
from magma_remote.model.campaign import Campaign, WorkerMode
from magma_remote.model.cpu_request import CpuRequest, lay_out, too_wide, trial_cpus
from magma_remote.model.cpus import Cpu
from magma_remote.model.units import Duration

FOUR = tuple(Cpu(number=number, core=number // 2, socket=0) for number in range(4))
ALL = frozenset(range(4))


def campaign(**keys: object) -> Campaign:
    given = {"repeat": 1, "fuzzers": ("afl", "honggfuzz"), "targets": ("libpng",), "timeout": Duration.parse("1m")}
    return Campaign(**{**given, **keys})  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param({}, id="nothing said"),
        pytest.param({"worker_mode": WorkerMode.PHYSICAL, "workers": 3}, id="mode and workers"),
        pytest.param({"worker_pool": (1, 3), "campaign_workers": 2}, id="pool"),
        pytest.param({"fuzzer_campaign_workers": MappingProxyType({"afl": 4, "other": 9})}, id="of a fuzzer"),
    ],
)
def test_a_request_travels_as_json(keys: dict[str, object]) -> None:
    asked = CpuRequest.of(campaign(**keys))
    travelled = CpuRequest.from_members(json.loads(json.dumps(asked.members())))
    assert travelled == asked


def test_a_demand_is_the_fuzzers_own_or_the_usual_one() -> None:
    asked = campaign(campaign_workers=2, fuzzer_campaign_workers=MappingProxyType({"afl": 3}))
    assert CpuRequest.of(asked).demands == {"afl": 3, "honggfuzz": 2}


@pytest.mark.parametrize(
    ("housekeeping", "request_", "sets"),
    [
        pytest.param((), CpuRequest(), ((0,), (1,), (2,), (3,)), id="all"),
        pytest.param((0,), CpuRequest(), ((1,), (2,), (3,)), id="without housekeeping"),
        pytest.param((0,), CpuRequest(mode=WorkerMode.PHYSICAL), ((1,), (2, 3)), id="a core that is split"),
        pytest.param((3,), CpuRequest(pool=(0, 1), campaign_workers=2), ((0, 1),), id="pool"),
    ],
)
def test_sets(housekeeping: tuple[int, ...], request_: CpuRequest, sets: tuple[tuple[int, ...], ...]) -> None:
    assert lay_out(request_, FOUR, ALL, housekeeping).sets == sets


@pytest.mark.parametrize(
    ("allowed", "housekeeping", "request_", "words"),
    [
        pytest.param(ALL, (7,), CpuRequest(), "HOUSEKEEPING_CPUS: CPU 7 cannot be used", id="no such CPU"),
        pytest.param({0, 1}, (0, 1), CpuRequest(), "leave some to the trials", id="nothing left"),
        pytest.param(ALL, (3,), CpuRequest(workers=4), r"WORKERS.*\(HOUSEKEEPING_CPUS takes 3 here\)", id="too few"),
        pytest.param({0, 1}, (), CpuRequest(workers=4), "^WORKERS.*wider affinity mask$", id="affinity"),
    ],
)
def test_what_cannot_be(allowed: set[int], housekeeping: tuple[int, ...], request_: CpuRequest, words: str) -> None:
    with pytest.raises(CpuError, match=words):
        lay_out(request_, FOUR, frozenset(allowed), housekeeping)


def test_trial_cpus_keep_to_the_mask() -> None:
    assert trial_cpus(FOUR, frozenset({1, 2, 3}), (3,)) == {1, 2}


def test_a_fuzzer_that_is_too_wide_is_named_with_the_reason() -> None:
    asked = CpuRequest(demands={"afl": 4, "honggfuzz": 5})
    assert too_wide(asked, lay_out(asked, FOUR, ALL, ())) == {
        "honggfuzz": "a trial wants 5 logical CPUs, all CPU sets of this worker together hold 4"
    }
