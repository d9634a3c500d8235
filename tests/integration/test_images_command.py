"""What `images` refuses before it asks any engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.commands import refused
from tests.support.processes.quickrun import make_tree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("registry", "arguments", "says"),
    [
        pytest.param(None, (), "add REGISTRY, such as 127.0.0.1:5000", id="no registry"),
        pytest.param(
            "127.0.0.1:9",
            ("--only", "steady/other"),
            'no image "steady/other"; its images are steady/toy',
            id="no such image",
        ),
    ],
)
def test_what_images_refuses(tmp_path: Path, registry: str | None, arguments: tuple[str, ...], says: str) -> None:
    make_tree(tmp_path / "magma")
    campaign = tmp_path / "campaign.hjson"
    campaign.write_text(json.dumps({"REPEAT": 1, "FUZZERS": ["steady"], "TARGETS": ["toy"], "MAGMA": "magma"}))
    settings = {"TEMP_RESULTS": "temp", "WORKDIR": "workdir", "COPY_TYPE": "scp", "JOBS_CONFIG": "campaign.hjson"}
    file = tmp_path / "dispatcher.hjson"
    file.write_text(json.dumps(settings | ({"REGISTRY": registry} if registry else {})))
    assert says in refused("images", "--settings", str(file), *arguments)
    assert not (tmp_path / "workdir").exists()
