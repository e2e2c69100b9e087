"""Places that hold three shards, 00000 to 00002, of one byte, two and three."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three shards, and of two files that are none."""
    for number in range(3):
        (tmp_path / f"{number:05d}.tar").write_bytes(b"x" * (number + 1))
    (tmp_path / "00000.parquet").touch()
    (tmp_path / "._00000.tar").touch()
    return tmp_path


@pytest.fixture
def stocked(bucket: str) -> str:
    """The URL of a bucket of three shards."""
    system, root = fsspec.core.url_to_fs(bucket)
    for number in range(3):
        system.pipe_file(f"{root}/{number:05d}.tar", b"x" * (number + 1))
    system.pipe_file(f"{root}/stats.json", b"{}")
    return bucket
