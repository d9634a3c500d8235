"""Messages of a campaign that is not ours, one for each tube that they may come on."""

from __future__ import annotations

from magma_remote.model.heartbeat import Heartbeat, WorkerState
from magma_remote.model.jobs import Job
from magma_remote.model.messages import Feedback, Grave, JobMessage, Place, Tube
from tests.support.memory.world import OTHER

STRANGERS = {
    Tube.JOBS: JobMessage(
        config_id=OTHER, number=0, attempt=1, job=Job(repeat=0, fuzzer="f0", target="t", program="p")
    ).encode(),
    Tube.FEEDBACK: Feedback(
        config_id=OTHER,
        number=0,
        run="0-aa",
        attempt=1,
        worker="w0",
        place=Place(folder="/w0/x_0-aa", workdirs="/w0", token="w0", host="192.0.2.7", port=22, user="magma"),
        manifest="0" * 64,
        started_at=0.0,
    ).encode(),
    Tube.GRAVEYARD: Grave(
        config_id=OTHER, number=0, run="0-aa", attempt=1, worker="w0", reason="internal", message="no"
    ).encode(),
    Tube.EVENTS: Heartbeat(
        config_id=OTHER, worker="w9", name="w9", host="w9", state=WorkerState.READY, at=0.0
    ).encode(),
}
