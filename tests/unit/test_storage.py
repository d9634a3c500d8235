"""Whether a file system is full."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from magma_remote.runtime import storage
from magma_remote.runtime.storage import is_full

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("blocks", "full"), [(128, False), (127, True), (0, True)])
def test_full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, blocks: int, *, full: bool) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_bavail=blocks, f_frsize=storage._FULL // 128))
    assert is_full(tmp_path) == full
