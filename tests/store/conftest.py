from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from tbar_ray.store.store import Store
from tests.buckets import new_bucket


@pytest.fixture(params=["local", "file-url", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store of each kind."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where downloads and scratch go
    if request.param == "memory":
        root = f"/{uuid.uuid4().hex}"
        yield Store(f"memory:/{root}")
        system = fsspec.filesystem("memory")
        if system.exists(root):
            system.rm(root, recursive=True)
    elif request.param == "s3":
        request.getfixturevalue("s3")
        yield Store(f"{new_bucket('s3')}/store")
    else:
        path = str(tmp_path / "store")
        yield Store(path if request.param == "local" else f"file://{path}")
