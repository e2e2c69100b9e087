from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from tbar_ray.errors import CheckpointError
from tbar_ray.models.checkpoint import load_state_dict
from tbar_ray.models.inspection.inspect import inspect_checkpoint


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("000.jpg")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"abcd"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (tar(), "is a tar archive"),
        (gzip.compress(b"weights", mtime=0), "is compressed by gzip"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "is a pointer of Git LFS"),
        (b"<!DOCTYPE html><html>", "is a web page"),
    ],
    ids=["tar", "gzip", "pointer", "page"],
)
@pytest.mark.parametrize("name", ["m.pt", "m.safetensors"])
def test_what_people_give_for_a_checkpoint_is_named(content: bytes, told: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    for read in (load_state_dict, inspect_checkpoint):
        with pytest.raises(CheckpointError, match=f"^{path} {told}") as caught:
            read(path)
        assert "\n" not in str(caught.value)
