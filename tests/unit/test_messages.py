from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_remote.errors import MagmaRemoteError, WireError
from magma_remote.model.heartbeat import Heartbeat, Inability, RunStatus, WorkerState
from magma_remote.model.jobs import Job
from magma_remote.model.messages import Feedback, Grave, JobMessage, Orders, Place, shortened
from magma_remote.model.wire import LARGEST

JOB = Job(repeat=3, fuzzer="afl", target="libtiff", program="tiffcp", args="-M @@,x tmp.out", fuzzargs="-x a,b")
MESSAGE = JobMessage(config_id="c0ffee", number=7, attempt=2, job=JOB, avoid=("w1",))
PLACE = Place(
    folder="/w/workdir_c0ffee_7-abc", workdirs="/w", token="t", host="10.0.0.2", port=22, user="fuzz", cpus=(0, 1)
)
FEEDBACK = Feedback(
    config_id="c0ffee", number=7, run="7-abc", attempt=1, worker="w1", place=PLACE, manifest="00", started_at=1.5
)
GRAVE = Grave(config_id="c", number=1, run="1-a", attempt=1, worker="w1", reason="image", message="no", tail=("é",))
BEAT = Heartbeat(
    config_id="c",
    worker="w1",
    name="host",
    host="10.0.0.2",
    state=WorkerState.READY,
    at=2.0,
    sets=((0,), (1, 2)),
    runs=(RunStatus(run="1-a", number=1, attempt=1, phase="fuzzing", since=3.0, started_at=1.0, cpus=(0,)),),
    cannot=(Inability(fuzzer="afl", why="too wide"),),
)
GOOD = json.loads(MESSAGE.encode())
GOOD_JOB = GOOD["job"]


def test_canonical_text() -> None:
    assert str(MESSAGE) == "c0ffee,3,afl,libtiff,tiffcp -M @@,x tmp.out,-x a,b"


@pytest.mark.parametrize("message", [MESSAGE, FEEDBACK, GRAVE, BEAT, Orders(config_id="c", stop=("a",))], ids=type)
def test_round_trip(message: JobMessage | Feedback | Grave | Heartbeat | Orders) -> None:
    body = message.encode()
    assert body.isascii()
    assert b"\n" not in body
    assert type(message).decode(body) == message


@pytest.mark.parametrize(
    ("wire", "says"),
    [
        pytest.param(b"", "no JSON", id="empty"),
        pytest.param(b"\xff\xfe", "no JSON", id="bytes"),
        pytest.param(b"[" * 100_000, "no JSON", id="deep"),
        pytest.param("[1]", "version 2", id="list"),
        pytest.param("null", "version 2", id="null"),
        pytest.param(GOOD | {"v": 3}, "version 2", id="newer version"),
        pytest.param(GOOD | {"v": True}, "version 2", id="version true"),
        pytest.param({k: v for k, v in GOOD.items() if k != "v"}, "version 2", id="no version"),
        pytest.param(GOOD | {"kind": "grave"}, "another", id="another kind"),
        pytest.param(GOOD | {"kind": []}, "another", id="no kind"),
        pytest.param(GOOD | {"more": 1}, "other fields", id="another field"),
        pytest.param({k: v for k, v in GOOD.items() if k != "number"}, "other fields", id="a field less"),
        pytest.param(GOOD | {"number": "7"}, "another type", id="number is text"),
        pytest.param(GOOD | {"number": 2**70}, "another type", id="number is no place"),
        pytest.param(GOOD | {"number": -1}, "no place", id="number is negative"),
        pytest.param(GOOD | {"config_id": "a\r\nput 1"}, "a name", id="config id is no name"),
        pytest.param(GOOD | {"number": True}, "another type", id="number is true"),
        pytest.param(GOOD | {"avoid": [1]}, "another type", id="avoid holds a number"),
        pytest.param(GOOD | {"job": None}, "other fields", id="no job"),
        pytest.param(GOOD | {"job": GOOD_JOB | {"repeat": -1}}, "repeat", id="repeat is negative"),
        pytest.param(GOOD | {"job": GOOD_JOB | {"target": "../x"}}, "plain name", id="path"),
        pytest.param(GOOD | {"job": GOOD_JOB | {"args": "a\nb"}}, "one line", id="two lines"),
        pytest.param(GOOD | {"job": GOOD_JOB | {"fuzzargs": None}}, "another type", id="null arguments"),
    ],
)
def test_refused(wire: object, says: str) -> None:
    body = wire if isinstance(wire, bytes) else wire.encode() if isinstance(wire, str) else json.dumps(wire).encode()
    with pytest.raises(WireError, match=says):
        JobMessage.decode(body)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"worker": "w\r\ndelete 1"}, "a name", id="worker is no name"),
        pytest.param({"run": "../x"}, "a name", id="run is a path"),
        pytest.param({"run": "7-other"}, "another's", id="folder of another run"),
        pytest.param({"started_at": float("inf")}, "another type", id="infinite"),
        pytest.param({"started_at": float("nan")}, "another type", id="no number"),
    ],
)
def test_feedback_that_would_lead_astray_is_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(WireError, match=says):
        Feedback.decode(json.dumps(json.loads(FEEDBACK.encode()) | changes).encode())


@pytest.mark.parametrize("state", ["gone", 1, None, ["ready"]], ids=repr)
def test_an_unknown_state_is_refused(state: object) -> None:
    with pytest.raises(WireError, match="another type"):
        Heartbeat.decode(json.dumps(json.loads(BEAT.encode()) | {"state": state}).encode())


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(json.dumps) | st.text())
def test_anything_else_on_the_wire(text: str) -> None:
    with pytest.raises(MagmaRemoteError):
        JobMessage.decode(text.encode(errors="replace"))


@pytest.mark.parametrize("at", [10**400, "1", True, None], ids=["beyond a float", "text", "true", "null"])
def test_a_time_that_is_none_is_refused(at: object) -> None:
    with pytest.raises(WireError, match="another type"):
        Heartbeat.decode(json.dumps(json.loads(BEAT.encode()) | {"at": at}).encode())


def test_a_message_too_large_for_the_queue_is_refused() -> None:
    with pytest.raises(WireError, match=f"at most {LARGEST}"):
        Orders(config_id="c", stop=("r" * 20,) * 4000).encode()


def test_a_tail_fits() -> None:
    tail = shortened(("\N{GRINNING FACE}" * 10_000,) * 1000)
    assert len(tail) == 20
    assert Grave(config_id="c", number=1, run="r", attempt=1, worker="w", reason="x", message="", tail=tail).encode()
