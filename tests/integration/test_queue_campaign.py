"""Campaigns through a real beanstalkd that restarts, forgets, freezes and is full of strangers' messages."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import pytest

from magma_remote.model.entries import JobState
from magma_remote.model.messages import Broadcast, Feedback, Place, Tube, orders_tube
from magma_remote.model.outcome import Reason
from tests.support.memory.live import SLOTS, live, stranger
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from magma_remote.ports import Queue
    from tests.support.servers.beanstalkd import Beanstalkd

GARBAGE = (b"\x00\xff not even text", b"[]", b'{"version": 99}', b'{"version": 1}')
FROZEN_SECONDS = 3.0
SOON = 20.0


def test_never_hoards_and_starts_the_next_job_at_once(tmp_path: Path, beanstalkd: Beanstalkd) -> None:
    reserved: list[int] = []
    with live(tmp_path, beanstalkd, jobs=16, run_seconds=0.7) as campaign, stranger(beanstalkd) as queue:
        campaign.start()
        campaign.await_end(lambda: reserved.append(queue.tube_stats(Tube.JOBS).reserved))
        stations = campaign.stations.values()
        assert max(reserved) == SLOTS * len(stations), "all CPUs were in use, and never more jobs than CPUs"
        assert [len(station.starts) for station in stations] == [8, 8]
        pauses = [pause for station in stations for pause in station.pauses()]
        assert len(pauses) == 12
        assert max(pauses) < 1.0


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_queue_that_restarts_costs_no_run(tmp_path: Path, beanstalkd: Beanstalkd, end: str) -> None:
    with live(tmp_path, beanstalkd, jobs=6, run_seconds=2.0) as campaign:
        campaign.start()
        for starts in (4, 5):
            campaign.await_starts(starts)
            getattr(beanstalkd, end)()
            time.sleep(0.5)  # for so long it is gone
            beanstalkd.start()
        campaign.await_end()
        assert campaign.starts == 6, "each worker took back what it ran"


def test_a_queue_that_forgets_all_is_filled_again(tmp_path: Path, beanstalkd: Beanstalkd) -> None:
    with live(tmp_path, beanstalkd, jobs=8, run_seconds=1.0) as campaign:
        campaign.start()
        until(lambda: campaign.count(JobState.DONE) >= 1)
        beanstalkd.wipe()
        campaign.await_end()
        assert campaign.starts == 8, "what ran went on"


def test_a_queue_that_stands_still_for_a_while(tmp_path: Path, beanstalkd: Beanstalkd) -> None:
    with live(tmp_path, beanstalkd, jobs=8, run_seconds=1.0) as campaign:
        campaign.start()
        until(lambda: campaign.count(JobState.DONE) >= 1)
        beanstalkd.freeze()
        time.sleep(FROZEN_SECONDS)
        beanstalkd.thaw()
        campaign.await_end()
        assert campaign.starts == 8


def test_what_strangers_put_is_buried_and_told(
    tmp_path: Path, beanstalkd: Beanstalkd, caplog: pytest.LogCaptureFixture
) -> None:
    tubes = [Tube.JOBS, Tube.FEEDBACK, Tube.GRAVEYARD, Tube.EVENTS, Tube.BROADCAST, orders_tube("w0")]
    with live(tmp_path, beanstalkd, jobs=4, run_seconds=1.0) as campaign, stranger(beanstalkd) as queue:
        campaign.start()
        campaign.await_starts(4)
        with caplog.at_level(logging.INFO, "magma_remote"):
            for tube in tubes:
                for body in GARBAGE:
                    queue.put(tube, body, priority=0)
            until(lambda: [queue.tube_stats(tube).buried for tube in tubes[1:]] == [len(GARBAGE)] * 5)
            campaign.await_end()
        until(lambda: queue.tube_stats(Tube.JOBS).buried == len(GARBAGE))
        said = [record.getMessage() for record in caplog.records if "buried" in record.getMessage()]
        assert all(sum(tube in line for line in said) >= len(GARBAGE) for tube in tubes), said
        assert _broadcast(queue).config_id == campaign.config_id


def test_a_job_soon_finds_the_worker_that_has_not_failed_it(tmp_path: Path, beanstalkd: Beanstalkd) -> None:
    with live(tmp_path, beanstalkd, jobs=8, run_seconds=0.2) as campaign:
        campaign.start_dispatcher()
        campaign.start_worker("bad", fails=lambda _assignment: Reason.ENDED_EARLY)
        campaign.start_worker("good")
        campaign.await_end(within=SOON)


def test_a_broadcast_that_a_stranger_deletes_is_put_back(tmp_path: Path, beanstalkd: Beanstalkd) -> None:
    with live(tmp_path, beanstalkd, jobs=4, run_seconds=6.0) as campaign, stranger(beanstalkd) as queue:
        campaign.start()
        campaign.await_starts(4)
        before = _broadcast(queue)
        top = queue.peek_ready(Tube.BROADCAST)
        assert top
        queue.delete(top)
        assert queue.peek_ready(Tube.BROADCAST) is None
        until(lambda: queue.peek_ready(Tube.BROADCAST))
        assert _broadcast(queue).config_id == before.config_id
        campaign.await_end()


def test_feedback_of_another_campaign_is_cleared(tmp_path: Path, beanstalkd: Beanstalkd) -> None:
    place = Place(
        folder="/w/workdir_0123456789ab_0-abcdef", workdirs="/w", token="w9", host="192.0.2.9", port=22, user="magma"
    )
    stale = Feedback(
        config_id="0123456789ab",
        number=0,
        run="0-abcdef",
        attempt=1,
        worker="w9",
        place=place,
        manifest="0" * 64,
        started_at=0.0,
    )
    with live(tmp_path, beanstalkd, jobs=2, run_seconds=0.5) as campaign, stranger(beanstalkd) as queue:
        for _ in range(3):
            queue.put(Tube.FEEDBACK, stale.encode())
        campaign.start()
        campaign.await_end()
        assert queue.tube_stats(Tube.FEEDBACK).total == 0
        assert campaign.starts == 2


def test_a_dispatcher_that_was_away_finds_one_heartbeat_of_each_worker(tmp_path: Path, beanstalkd: Beanstalkd) -> None:
    seen: list[int] = []
    with live(tmp_path, beanstalkd, jobs=12, run_seconds=0.5) as campaign, stranger(beanstalkd) as queue:
        campaign.start()
        campaign.await_starts(2)
        campaign.stop_dispatcher()

        def ran() -> bool:
            seen.append(queue.tube_stats(Tube.EVENTS).total)
            return all(len(station.kept()) >= 4 and not station.running for station in campaign.stations.values())

        until(ran)
        assert max(seen) == len(campaign.stations)
        assert queue.tube_stats(Tube.EVENTS).total == len(campaign.stations)
        campaign.start_dispatcher()
        campaign.await_end()
        assert campaign.starts == 12


def _broadcast(queue: Queue) -> Broadcast:
    top = queue.peek_ready(Tube.BROADCAST)
    assert top
    return Broadcast.decode(top.body)
