"""A worker's station as a process of its own, without a queue: sets up, runs, and leaves when it is told to.

`python lone_station.py SETTINGS.json` prints a line of JSON for each news, and `{"progress": …}` when that changes.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from magma_remote.adapters import claims
from magma_remote.adapters.docker import DockerRunner
from magma_remote.adapters.hjson_file import parse_hjson
from magma_remote.adapters.machine import this_machine
from magma_remote.adapters.magma_tree import read_tree
from magma_remote.model.campaign_file import read_campaign
from magma_remote.model.jobs import expand
from magma_remote.model.messages import Broadcast
from magma_remote.ports import Assignment, Prepared
from magma_remote.runtime.images.images import Owner
from magma_remote.runtime.images.tree_digest import tree_digest
from magma_remote.runtime.station.folders import open_workdirs
from magma_remote.runtime.station.local import LocalStation
from magma_remote.runtime.station.settings import StationOutside, StationSettings

OUTSIDE = StationOutside(
    runner=DockerRunner(),
    guards=claims,
    read_document=lambda text, source: parse_hjson(text.encode(), source=source),
    read_tree=read_tree,
    machine=this_machine,
)
LEAVE_SECONDS = 7.0


def settings(*, workdirs: Path, root: Path, worker: str, housekeeping: tuple[int, ...]) -> StationSettings:
    return StationSettings(
        workdirs=workdirs,
        keep=False,
        root=root,
        worker=worker,
        name="w1",
        host="127.0.0.1",
        ssh_port=22,
        ssh_user="magma",
        owner=Owner(uid=os.getuid() or 1000, gid=os.getgid() or 1000),
        housekeeping=housekeeping,
    )


def broadcast(campaign: Path, root: Path, config_id: str = "c1") -> Broadcast:
    text = campaign.read_text()
    parsed = read_campaign(parse_hjson(text.encode()), tree=read_tree(root))
    return Broadcast(
        config_id=config_id,
        source=campaign.name,
        text=text,
        tree=tree_digest(parsed, root),
        since=0.0,
        dispatcher="d",
        workdir="/w",
    )


def assignments(campaign: Path, root: Path, cpu: int) -> list[Assignment]:
    tree = read_tree(root)
    jobs = expand(read_campaign(parse_hjson(campaign.read_bytes()), tree=tree), tree)
    return [
        Assignment(config_id="c1", run=f"{number}-abcdef", number=number, attempt=1, job=job, cpus=(cpu,))
        for number, job in enumerate(jobs)
    ]


def main(facts: dict[str, Any]) -> None:
    campaign, root = Path(facts["campaign"]), Path(facts["root"])
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: told.append(number))
    with open_workdirs(Path(facts["workdirs"]), "w1", claims) as worker:
        housekeeping = tuple(facts["housekeeping"])
        found = settings(workdirs=Path(facts["workdirs"]), root=root, worker=worker, housekeeping=housekeeping)
        station = LocalStation(found, OUTSIDE)
        station.prepare(broadcast(campaign, root))
        _serve(station, assignments(campaign, root, facts["cpu"]), told)
        station.release()


def _serve(station: LocalStation, waiting: list[Assignment], told: list[int]) -> None:
    progress, running = "", set[str]()
    while not told or running:
        for news in station.news():
            print(json.dumps(asdict(news), default=str), flush=True)
            if isinstance(news, Prepared):
                ready = not news.unfit
            else:
                running.discard(news.run)
                ready = True
            if ready and waiting and not told:
                station.start(waiting[0])
                running.add(waiting.pop(0).run)
        if station.progress() != progress:
            progress = station.progress()
            print(json.dumps({"progress": progress}), flush=True)
        if told:
            for run in running:
                station.stop(run)
        station.wait(0.1)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
