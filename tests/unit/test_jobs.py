from __future__ import annotations

import json
from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from magma_remote.model.campaign import Campaign
from magma_remote.model.jobs import MOST_JOBS, Job, count_jobs, expand
from magma_remote.model.names import is_one_line
from magma_remote.model.tree import MagmaTree, Target
from magma_remote.model.units import Duration

NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,12}", fullmatch=True)
TEXTS = st.text().filter(is_one_line)
JOBS = st.builds(
    Job,
    repeat=st.integers(0, MOST_JOBS - 1),
    fuzzer=NAMES,
    target=NAMES,
    program=NAMES,
    args=TEXTS,
    fuzzargs=TEXTS,
)
JOB = Job(repeat=3, fuzzer="afl", target="libtiff", program="tiffcp", args="-M @@,x tmp.out", fuzzargs="-x a,b")


def test_text_with_arguments() -> None:
    assert str(JOB) == "3,afl,libtiff,tiffcp -M @@,x tmp.out,-x a,b"


def test_text_without_arguments() -> None:
    assert str(Job(repeat=0, fuzzer="afl", target="lua", program="lua")) == "0,afl,lua,lua,"


def test_wire_form() -> None:
    assert json.loads(JOB.to_wire()) == {
        "v": 1,
        "repeat": 3,
        "fuzzer": "afl",
        "target": "libtiff",
        "program": "tiffcp",
        "args": "-M @@,x tmp.out",
        "fuzzargs": "-x a,b",
    }


TREE_NAMES = st.lists(NAMES, min_size=1, max_size=4, unique=True)


@st.composite
def campaigns(draw: st.DrawFn) -> tuple[Campaign, MagmaTree]:
    """A tree, and a campaign that holds on it."""
    fuzzers, targets = draw(TREE_NAMES), draw(TREE_NAMES)
    programs = {target: draw(st.dictionaries(NAMES, TEXTS, min_size=1, max_size=4)) for target in targets}
    tree = MagmaTree(
        fuzzers=tuple(fuzzers),
        targets={
            name: Target(name=name, file="", programs=MappingProxyType(offered)) for name, offered in programs.items()
        },
    )
    some_targets = st.lists(st.sampled_from(targets), min_size=1, unique=True).map(tuple)
    pairs = st.tuples(st.sampled_from(fuzzers), st.sampled_from(targets))
    chosen = {
        f"{fuzzer},{target}": draw(
            st.lists(st.sampled_from(list(programs[target])), min_size=1, unique=True).map(tuple)
        )
        for fuzzer, target in draw(st.lists(pairs, unique=True, max_size=4))
    }
    keys = st.sampled_from(fuzzers) | pairs.map(",".join)
    campaign = Campaign(
        repeat=draw(st.integers(1, 4)),
        fuzzers=tuple(fuzzers),
        targets=draw(some_targets),
        timeout=Duration.parse("1m"),
        overridden_targets=draw(st.dictionaries(st.sampled_from(fuzzers), some_targets)),
        programs=chosen,
        fuzzargs=draw(st.dictionaries(keys, TEXTS)),
    )
    return campaign, tree


@given(campaigns())
def test_expansion(drawn: tuple[Campaign, MagmaTree]) -> None:
    campaign, tree = drawn
    jobs = expand(campaign, tree)
    assert len(jobs) == len(set(jobs)) == count_jobs(campaign, tree)
    # by fuzzer, then by repeat; each repeat the same list
    position = {fuzzer: index for index, fuzzer in enumerate(campaign.fuzzers)}
    order = [(position[job.fuzzer], job.repeat) for job in jobs]
    assert order == sorted(order)
    for fuzzer in campaign.fuzzers:
        lists = [
            [(j.target, j.program) for j in jobs if (j.fuzzer, j.repeat) == (fuzzer, r)] for r in range(campaign.repeat)
        ]
        assert all(one == lists[0] for one in lists)
        targets = campaign.overridden_targets.get(fuzzer, campaign.targets)
        assert tuple(dict.fromkeys(target for target, _ in lists[0])) == targets


@given(campaigns())
def test_arguments(drawn: tuple[Campaign, MagmaTree]) -> None:
    campaign, tree = drawn
    for job in expand(campaign, tree):
        pair = f"{job.fuzzer},{job.target}"
        assert job.args == tree.programs(job.target)[job.program]
        assert job.fuzzargs == campaign.fuzzargs.get(pair, campaign.fuzzargs.get(job.fuzzer, ""))
        assert job.program in campaign.programs.get(pair, tuple(tree.programs(job.target)))
