"""An experiment as a file: nothing is lost on the way, and nothing else is taken for one."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from magma_remote.errors import WireError
from magma_remote.model.experiment import Experiment
from magma_remote.model.machine import Machine
from tests.support.report.generated import generated
from tests.support.report.written import trial

WHOLE = replace(
    generated(fuzzers=2, targets=2, repeats=3, bugs=4, lost=2),
    facts={"magma": {"commit": None, "later": []}, "workers": [{"name": "w1"}]},
    problems=("ar/x is no trial",),
)
TRIALS = json.loads(WHOLE.encode())["trials"]
LOST = json.loads(WHOLE.encode())["missing"][0]
MACHINE = Machine(host="w1", system="Debian", kernel="6.1", cpu="EPYC", docker="20.10", magma_remote="0.1.0")


@pytest.mark.parametrize(
    "experiment",
    [
        pytest.param(WHOLE, id="whole"),
        pytest.param(Experiment(trials=(), missing=()), id="nothing-known"),
        pytest.param(Experiment(trials=(trial("a/b/c/0", last=None, machine=MACHINE),), missing=()), id="machine"),
        pytest.param(Experiment(trials=(trial("a/\udcff/c/0", triggered={"\ud800": 5}),), missing=()), id="no-text"),
    ],
)
def test_all_of_it_comes_back(experiment: Experiment) -> None:
    assert Experiment.decode(experiment.encode()) == experiment


def _changed(**members: object) -> bytes:
    return json.dumps({**json.loads(WHOLE.encode()), **members}).encode()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b"", "no JSON", id="empty"),
        pytest.param(b"\xff\xfe", "no JSON", id="no-text"),
        pytest.param(WHOLE.encode()[:-1], "no JSON", id="cut"),
        pytest.param(b"[" * 100_000, "no JSON", id="deep"),
        pytest.param(b"[]", "version", id="list"),
        pytest.param(_changed(v=2), "version", id="other-version"),
        pytest.param(_changed(kind="job"), "another", id="other-kind"),
        pytest.param(_changed(more=1), "other fields", id="more"),
        pytest.param(_changed(timeout="1d"), "another type", id="text-for-number"),
        pytest.param(_changed(settings=[]), "another type", id="list-for-mapping"),
        pytest.param(_changed(trials=[{}]), "other fields", id="trial-of-nothing"),
        pytest.param(
            _changed(trials=[{**TRIALS[0], "reached": {"B": None}}]),
            "another type",
            id="bug-without-a-stamp",
        ),
        pytest.param(_changed(trials=TRIALS + TRIALS[:1]), "afl/target00/program0/0.* more than once", id="twice"),
        pytest.param(_changed(missing=[LOST, LOST]), "more than once", id="missing-twice"),
        pytest.param(_changed(missing=[]), "it names 10 trials, and says that 12 were", id="without-its-missing"),
    ],
)
def test_what_is_none_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(WireError, match=said):
        Experiment.decode(body)


@pytest.mark.parametrize("record", [None, "w1", [], {}, {"host": 1}, {"host": ""}, {"else": "x"}])
def test_a_record_without_a_machine(record: object) -> None:
    assert Machine.from_record(record) is None


def test_a_machine_that_is_known_in_part() -> None:
    assert Machine.from_record({"host": "w1", "cpu": None, "more": "x"}) == Machine(host="w1")
