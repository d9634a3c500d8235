"""The real exp2json of a Magma tree beside `magma-remote summary`, on the same WORKDIR.

MAGMA_TREE names the tree, MAGMA_PYTHON a Python that has pandas, if this one has none: one below 3, for with 3.1
exp2json leaves out trials of which rows have other columns than those before.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.commands import call
from tests.support.workdirs.merged import Ball, Merged, a_ball, dump, usual

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(os.environ.get("MAGMA_TREE", "/nowhere"), "tools/benchd/exp2json.py")
PYTHON = os.environ.get("MAGMA_PYTHON", sys.executable)
_ENDED = 60.0


def _has_pandas() -> bool:
    return subprocess.run([PYTHON, "-c", "import pandas"], check=False, capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def exp2json() -> Path:
    if not SCRIPT.is_file() or not _has_pandas():
        pytest.skip("MAGMA_TREE names no Magma tree, or there is no pandas")
    return SCRIPT


def _theirs(script: Path, workdir: Path) -> Any:
    out = workdir.parent / "theirs.json"
    subprocess.run([PYTHON, script, workdir, out], check=True, capture_output=True, timeout=_ENDED)
    return json.loads(out.read_text())


def _ours(workdir: Path) -> Any:
    return json.loads(call("summary", str(workdir)).stdout)


def _not_empty(summary: Any) -> Any:
    """Without trials in which nothing was seen: exp2json leaves out those that have no dump."""
    if not isinstance(summary, dict):
        return summary
    kept = {key: _not_empty(value) for key, value in summary.items()}
    return {key: value for key, value in kept.items() if value not in ({}, {"reached": {}, "triggered": {}})}


def _random_trials(seed: int) -> Iterator[tuple[tuple[str, str, str, int], Ball]]:
    """Counts that grow, new columns as bugs are seen, gaps, dumps without a row."""
    random_ = random.Random(seed)
    for number in range(12):
        counts = [0] * 8
        header = ",".join(f"BUG{bug}_{kind}" for bug in range(4) for kind in "RT")
        dumps = {}
        for stamp in range(5, 300, 5):
            for column in range(8):
                counts[column] += random_.choice([0, 0, 0, 0, 0, random_.randrange(200)]) * (random_.random() < 0.05)
            text = dump(*counts, header=header)
            if random_.random() < 0.9:
                dumps[str(stamp)] = text if random_.random() < 0.95 else random_.choice(["", f"{header}\n"])
        names = list(dumps.items())
        random_.shuffle(names)
        place = (f"fuzzer{number % 2}", f"target{number % 3}", "program", number // 6)
        yield place, a_ball(dict([*names, ("tmp", "half")]))


@pytest.mark.parametrize("plain", [False, True], ids=["tarballs", "folders"])
def test_the_same_figures(exp2json: Path, tmp_path: Path, plain: bool) -> None:
    merged = Merged(tmp_path / "workdir")
    for place, ball in _random_trials(seed=7):
        merged.add(place, ball, plain=plain)
    theirs = _theirs(exp2json, merged.root)
    assert _ours(merged.root) == theirs
    assert len(_not_empty(theirs)["results"]) == 2


SHAPES = {
    "gnu": a_ball(),
    "pax": replace(a_ball(), format=tarfile.PAX_FORMAT),
    "ustar": replace(a_ball(), format=tarfile.USTAR_FORMAT),
    "deeper": replace(a_ball(), root="./shared/run"),
    "long": a_ball(others={f"findings/{'x' * 150}/{'y' * 120}": "long"}),
    "short rows": a_ball({"5": dump(1), "10": dump(1, 0, 1), "15": dump(1, 1, 1, 0)}),
    "columns come": a_ball({"5": dump(1, 0, header="A_R,A_T"), "10": dump(1, 1, 1, 1, header="A_R,A_T,B_R,B_T")}),
    "shrinking": a_ball({"5": dump(1, 1, 0, 0), "10": dump(0, 0, 0, 0), "15": dump(1, 0, 1, 0)}),
    "drifting": a_ball({"6": dump(0, 0, 0, 0), "12": dump(1, 0, 0, 0), "19": dump(1, 1, 0, 0)}),
    "no row": a_ball({"5": f"{dump(1, 0, 0, 0).splitlines()[0]}\n", "10": dump(0, 0, 1, 1)}),
    "no dump": a_ball({}),
    "tmp": a_ball({**usual(), "tmp": ""}),
}


@pytest.mark.parametrize("ball", [pytest.param(ball, id=name.replace(" ", "-")) for name, ball in SHAPES.items()])
def test_the_same_figures_of(exp2json: Path, tmp_path: Path, ball: Ball) -> None:
    merged = Merged(tmp_path / "workdir")
    merged.add(ball=ball)
    assert _not_empty(_ours(merged.root)) == _not_empty(_theirs(exp2json, merged.root))
