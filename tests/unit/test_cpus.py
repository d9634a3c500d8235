"""CPU sets on the topologies of tests/data/lscpu, and what holds on every machine."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_remote.errors import CpuError
from magma_remote.model.campaign import Campaign, WorkerMode
from magma_remote.model.cpu_request import layout_for
from magma_remote.model.cpus import Cpu, CpuSet, Layout, check_demands, cpu_list, cpu_sets, parse_lscpu
from magma_remote.model.units import Duration
from tests.support.places import DATA

LSCPU = DATA / "lscpu"
LOGICAL, PHYSICAL, SOCKET = WorkerMode.LOGICAL, WorkerMode.PHYSICAL, WorkerMode.SOCKET


def machine(name: str) -> tuple[Cpu, ...]:
    return parse_lscpu((LSCPU / f"{name}.txt").read_text(encoding="utf-8"))


def sets_of(name: str, **wanted: Any) -> tuple[CpuSet, ...]:
    return cpu_sets(machine(name), **wanted).sets


@pytest.mark.parametrize(
    ("name", "wanted", "first", "count"),
    [
        pytest.param("two_plain", {}, (0,), 2, id="two-cpus"),
        pytest.param("one_cpu", {"mode": SOCKET}, (0,), 1, id="one-cpu"),
        pytest.param("two_sockets_smt", {}, (0,), 128, id="server-logical"),
        pytest.param("two_sockets_smt", {"mode": PHYSICAL}, (0, 64), 64, id="server-physical"),
        pytest.param(
            "two_sockets_smt",
            {"mode": SOCKET},
            (*range(32), *range(64, 96)),
            2,
            id="server-socket",
        ),
        pytest.param("two_sockets_smt", {"mode": PHYSICAL, "workers": 3}, (0, 64), 2, id="physical-rounds-up"),
        pytest.param(
            "two_sockets_smt",
            {"mode": SOCKET, "workers": 1},
            (*range(32), *range(64, 96)),
            1,
            id="socket-rounds-up",
        ),
        pytest.param(
            "two_sockets_smt",
            {"mode": PHYSICAL, "campaign_workers": 3},
            (0, 1, 64, 65),
            32,
            id="sets-round-up",
        ),
        pytest.param("smt_adjacent", {"mode": PHYSICAL}, (0, 1), 16, id="adjacent-siblings"),
        pytest.param("smt_adjacent", {"workers": 5, "campaign_workers": 5}, (0, 1, 2, 3, 4), 1, id="logical"),
        pytest.param("hybrid", {"mode": PHYSICAL}, (0, 1), 8, id="hybrid"),
        pytest.param("offline_gaps", {"mode": PHYSICAL}, (0, 4), 3, id="offline-gaps"),
        pytest.param("offline_listed", {}, (0,), 2, id="offline-listed"),
        pytest.param("online_column", {}, (0,), 2, id="online-column"),
        pytest.param("arm_empty", {"mode": PHYSICAL}, (0,), 4, id="arm-physical"),
        pytest.param("arm_empty", {"mode": SOCKET}, (0, 1, 2, 3), 1, id="arm-socket"),
        pytest.param("interleaved_sockets", {"mode": SOCKET}, (0, 2, 4, 6), 2, id="interleaved-sockets"),
        pytest.param("interleaved_sockets", {"pool": (7, 1, 3), "mode": SOCKET}, (1,), 3, id="pool"),
        pytest.param("smt_adjacent", {"pool": (9, 1, 3, 5), "campaign_workers": 2}, (1, 3), 2, id="pool-sets"),
    ],
)
def test_sets(name: str, wanted: dict[str, Any], first: CpuSet, count: int) -> None:
    sets = sets_of(name, **wanted)
    assert (sets[0], len(sets)) == (first, count)


def test_hybrid_cores_keep_their_own_sizes() -> None:
    assert sets_of("hybrid", mode=PHYSICAL)[3:] == ((6, 7), (8,), (9,), (10,), (11,))


def test_what_is_not_in_a_set_is_told() -> None:
    layout = cpu_sets(machine("smt_adjacent"), workers=5, campaign_workers=2, allowed=frozenset(range(4, 12)))
    assert layout == Layout(
        sets=((4, 5), (6, 7)),
        mode=LOGICAL,
        left_over=(8,),
        spare=(9, 10, 11),
        outside=(0, 1, 2, 3, *range(12, 32)),
    )
    assert layout.cpus == (4, 5, 6, 7)


def test_a_pool_is_in_logical_mode() -> None:
    layout = cpu_sets(machine("smt_adjacent"), mode=SOCKET, pool=(1, 2))
    assert (layout.mode, layout.sets) == (LOGICAL, ((1,), (2,)))


def test_a_core_with_one_thread_outside_the_mask_gives_the_other() -> None:
    assert sets_of("smt_adjacent", mode=PHYSICAL, allowed=frozenset({1, 2, 3})) == ((1,), (2, 3))


@pytest.mark.parametrize(
    ("name", "wanted", "told"),
    [
        pytest.param(
            "two_plain",
            {"workers": 3},
            ("WORKERS", "at least 3", "2 online (0-1)", "lower WORKERS"),
            id="workers",
        ),
        pytest.param(
            "smt_adjacent",
            {"workers": 3, "allowed": {4, 5}},
            ("WORKERS", "32 online (0-31)", "mask allows 2 (4-5)"),
            id="workers-in-mask",
        ),
        pytest.param("two_plain", {"allowed": {9}}, ("mask allows 0 (none)",), id="nothing-in-mask"),
        pytest.param(
            "two_plain",
            {"campaign_workers": 3},
            ("CAMPAIGN_WORKERS", "3 logical", "only 2", "(0-1)", "lower CAMPAIGN_WORKERS"),
            id="campaign-workers",
        ),
        pytest.param(
            "smt_adjacent",
            {"campaign_workers": 3, "pool": (4, 6)},
            ("CAMPAIGN_WORKERS", "(4,6)"),
            id="campaign-workers-in-pool",
        ),
        pytest.param(
            "offline_gaps",
            {"pool": (0, 1, 2)},
            ("WORKER_POOL", "CPU 1-2 cannot", "5 online (0,3-5,7)"),
            id="pool-offline",
        ),
        pytest.param(
            "two_plain",
            {"pool": (0, 1), "allowed": {0}},
            ("WORKER_POOL", "CPU 1 cannot", "mask allows 1 (0)"),
            id="pool-outside-mask",
        ),
        pytest.param("two_plain", {"pool": ()}, ("WORKER_POOL", "empty"), id="pool-empty"),
        pytest.param("two_plain", {"pool": (0,), "workers": 1}, ("exclude each other",), id="pool-and-workers"),
    ],
)
def test_what_a_machine_cannot_give_is_told(name: str, wanted: dict[str, Any], told: tuple[str, ...]) -> None:
    with pytest.raises(CpuError) as caught:
        sets_of(name, **wanted)
    assert [part for part in told if part not in str(caught.value)] == []


def campaign(**keys: Any) -> Campaign:
    return Campaign(repeat=1, fuzzers=("afl", "honggfuzz"), targets=("libpng",), timeout=Duration.parse("1m"), **keys)


def test_a_campaign_is_laid_out() -> None:
    asked = campaign(worker_mode=PHYSICAL, workers=8, campaign_workers=2, fuzzer_campaign_workers={"honggfuzz": 8})
    layout = layout_for(asked, machine("smt_adjacent"), frozenset(range(2, 32)))
    assert layout.sets == ((2, 3), (4, 5), (6, 7), (8, 9))


def test_a_campaign_pool_is_laid_out() -> None:
    assert layout_for(campaign(worker_pool=(1, 3)), machine("smt_adjacent"), None).sets == ((1,), (3,))


def test_a_demand_that_no_lease_can_meet_names_its_fuzzer() -> None:
    asked = campaign(fuzzer_campaign_workers={"honggfuzz": 3})
    with pytest.raises(CpuError, match=r"FUZZER_CAMPAIGN_WORKERS: honggfuzz wants 3 .* hold 2;"):
        layout_for(asked, machine("two_plain"), None)


def test_left_over_cpus_meet_no_demand() -> None:
    layout = cpu_sets(machine("smt_adjacent"), workers=5, campaign_workers=2)
    check_demands(layout.sets, {"afl": 4})
    with pytest.raises(CpuError, match="afl wants 5"):
        check_demands(layout.sets, {"afl": 5})


@pytest.mark.parametrize(
    ("cpus", "text"),
    [
        pytest.param((), "none", id="none"),
        pytest.param((7,), "7", id="one"),
        pytest.param((8, 0, 1, 2, 3), "0-3,8", id="ranges"),
        pytest.param((0, 1), "0-1", id="pair"),
    ],
)
def test_cpu_list(cpus: CpuSet, text: str) -> None:
    assert cpu_list(cpus) == text


@st.composite
def machines(draw: st.DrawFn) -> tuple[Cpu, ...]:
    """Any numbering of any sockets with any cores of one to four threads."""
    cores = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=12))
    threads = [(socket, core) for core, (socket, count) in enumerate(cores) for _ in range(count)]
    numbers = draw(st.lists(st.integers(0, 200), min_size=len(threads), max_size=len(threads), unique=True))
    return tuple(sorted(Cpu(number=n, core=core, socket=s) for n, (s, core) in zip(numbers, threads, strict=True)))


def key(cpu: Cpu, mode: WorkerMode) -> tuple[int, ...]:
    return {LOGICAL: (cpu.number,), PHYSICAL: (cpu.socket, cpu.core), SOCKET: (cpu.socket,)}[mode]


@given(st.data(), machines(), st.sampled_from(WorkerMode), st.integers(1, 6))
def test_what_holds_for_every_layout(
    data: st.DataObject, cpus: tuple[Cpu, ...], mode: WorkerMode, campaign_workers: int
) -> None:
    numbers = [cpu.number for cpu in cpus]
    allowed = data.draw(st.none() | st.frozensets(st.sampled_from(numbers), min_size=1))
    usable = [cpu for cpu in cpus if allowed is None or cpu.number in allowed]
    workers = data.draw(st.none() | st.integers(1, len(usable)))
    wanted = len(usable) if workers is None else workers
    try:
        layout = cpu_sets(cpus, mode=mode, workers=workers, campaign_workers=campaign_workers, allowed=allowed)
    except CpuError:
        assert campaign_workers > wanted
        return
    taken = [*layout.cpus, *layout.left_over]
    everything = sorted([*taken, *layout.spare, *layout.outside])
    assert everything == numbers  # disjoint, and nothing is lost
    assert set(taken) <= {cpu.number for cpu in usable}
    assert all(list(cpus) == sorted(cpus) and len(cpus) >= campaign_workers for cpus in layout.sets)
    assert len(layout.left_over) < campaign_workers
    nodes: dict[tuple[int, ...], set[int]] = {}
    for cpu in usable:
        nodes.setdefault(key(cpu, mode), set()).add(cpu.number)
    for part in (*layout.sets, layout.left_over, layout.spare):
        assert all(node <= set(part) or not node & set(part) for node in nodes.values())  # never split
    last = max((node for node in nodes.values() if node <= set(taken)), key=min)
    assert len(taken) - len(last) < wanted <= len(taken)  # enough, and no node too many
    assert not layout.spare or min(last) < min(layout.spare)


@given(st.data(), machines(), st.integers(1, 6))
def test_what_holds_for_every_pool(data: st.DataObject, cpus: tuple[Cpu, ...], campaign_workers: int) -> None:
    pool = data.draw(st.lists(st.sampled_from([cpu.number for cpu in cpus]), unique=True, min_size=1))
    if campaign_workers > len(pool):
        with pytest.raises(CpuError, match=r"^CAMPAIGN_WORKERS"):
            cpu_sets(cpus, pool=pool, campaign_workers=campaign_workers)
        return
    layout = cpu_sets(cpus, mode=SOCKET, pool=pool, campaign_workers=campaign_workers)
    in_order = sorted(pool)
    whole = len(pool) // campaign_workers * campaign_workers
    assert [cpu for cpus in layout.sets for cpu in cpus] == in_order[:whole]
    assert list(layout.left_over) == in_order[whole:]
    assert {len(cpus) for cpus in layout.sets} == {campaign_workers}
